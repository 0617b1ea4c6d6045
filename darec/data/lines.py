"""Read a text file line by line or row by row, with the number of each line.

These readers are slow, and know the place of a fault. `darec.data.delimited` reads whole files.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from darec.data.text import DAMAGED, damaged, open_utf8
from darec.errors import UserError

BLANKS = " "
"""The delimiter that stands for any number of blanks or tabs between two cells."""
LONGEST_ROW = 2**20
"""Most characters of a row. A small packed file may hold a row that does not fit into memory."""
OPEN_QUOTE = (
    "a quote that opens a cell must be closed at the cell's end, but is not; "
    "write a quote within a quoted cell twice, or remove it"
)
Row = list[str]
csv.field_size_limit(LONGEST_ROW)


def read_text(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield each line's number and text, with its line end.

    Raises `UserError` where a line is not text of the encoding, or longer than `LONGEST_ROW`, and
    where a packed file is damaged.
    """
    number = 0
    try:
        with io.TextIOWrapper(
            open_utf8(path, encoding), "utf-8", errors="surrogateescape", newline=""
        ) as text:
            while line := text.readline(LONGEST_ROW + 1):
                number += 1
                if len(line) > LONGEST_ROW:
                    raise _too_long(path, number)
                _check_text(path, number, line, encoding)
                yield number, line
    except DAMAGED as error:
        raise damaged(path, error) from error


def _too_long(path: Path, number: int) -> UserError:
    rule = f"a row must have at most {LONGEST_ROW} characters"
    return UserError(f"{path}, line {number}: {rule}, but one goes on (is a quote not closed?)")


def _check_text(path: Path, number: int, line: str, encoding: str | None) -> None:
    where = f"{path}, line {number}"
    if "\0" in line:
        raise UserError(f"{where}: must be text, but has a NUL byte")
    if line.isascii():
        return
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        rule = f"must be {encoding or 'UTF-8'} text, but has the byte 0x{byte:02x}"
        remedy = "if the file is Latin-1 or of Windows, say so: --encoding latin-1, or cp1252"
        raise UserError(f"{where}: {rule}; {remedy}") from error


def read_lines(
    path: Path, delimiter: str, encoding: str | None = None, strict: bool = False
) -> Iterator[tuple[int, Row]]:
    """Yield the number of the first line and the cells of every row that is not empty.

    With ``strict`` a quote that opens a cell must be closed at its end, as RFC 4180 has it.
    Raises `UserError` like `read_text`, and for a row that is longer than `LONGEST_ROW` or, with
    ``strict``, has an open quote.
    """
    begin = 1
    if is_plain(delimiter):
        for number, line in read_text(path, encoding):
            if line.strip():
                yield number, split_line(line, delimiter)
        return

    def bounded_rows() -> Iterator[str]:
        """Yield the lines of the file; none that makes its row too long."""
        length, row = 0, begin
        for _, line in read_text(path, encoding):
            length = len(line) if row != begin else length + len(line)
            row = begin
            if length > LONGEST_ROW:
                raise _too_long(path, begin)
            yield line

    reader = csv.reader(bounded_rows(), delimiter=delimiter, strict=strict)
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {begin}: {_quote_problem(str(error))}") from error


def _quote_problem(reason: str) -> str:
    if "expected after" in reason or "unexpected end" in reason:
        return OPEN_QUOTE
    return f"must be delimited text: {reason}"


def is_plain(delimiter: str) -> bool:
    """Return whether rows are split at each delimiter, and quotes have no meaning."""
    return delimiter == BLANKS or len(delimiter) > 1 or not delimiter.isascii()


def split_line(line: str, delimiter: str) -> Row:
    """Return the cells of a line whose delimiter is not a single character."""
    line = line.rstrip("\r\n")
    return re.split("[ \t]+", line.strip(" \t")) if delimiter == BLANKS else line.split(delimiter)
