"""Read a delimited text file into columns, and lose no row of it."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from darec.data.codes import IDS
from darec.data.columns import shown
from darec.data.counted_text import BLOCK, INNER, CountedText
from darec.data.layouts import Form
from darec.data.lines import is_plain, read_lines, read_text
from darec.data.text import DAMAGED, damaged, no_ratings, open_utf8
from darec.data.values import rating_of
from darec.errors import UserError

TYPES = {"user": IDS, "item": IDS, "rating": IDS}


class Delimited(NamedTuple):
    """The columns of a file by their roles."""

    table: pa.Table
    quotes: bool
    """Whether a cell may be quoted; else a quote is a character like others."""


def read_delimited(path: Path, form: Form, encoding: str | None = None) -> Delimited:
    """Return the columns of a file by their roles, one row for each of the file.

    A quoted cell may have line breaks, but not that of an id or a rating, and no lines that look
    like rows. Where tabs or bars delimit, quotes that do not fit are taken literally if that makes
    a row of each line. Raises `UserError` with the line of the first fault.
    """
    quotes = not is_plain(form.delimiter)
    fast = _read(path, form, encoding, quotes)
    if fast and fast.is_sure:
        return Delimited(fast.table, quotes)
    if form.delimiter in "\t|":
        literal = _read(path, form, encoding, quotes=False)
        if literal and literal.table.num_rows == literal.n_lines and not _is_quoted(literal.table):
            return Delimited(literal.table, quotes=False)
    n_rows = _check_rows(path, form, encoding)
    slow = _read(path, form, encoding, quotes=True, lines_in_cells=True)
    if slow and slow.table.num_rows == n_rows:
        return Delimited(slow.table, quotes=True)
    raise UserError(f"{path}: must have a row on each line, but its quotes do not fit its rows")


def _is_quoted(table: pa.Table) -> bool:
    """Return whether an id stands in quotes."""
    return any(
        pc.any(pc.match_substring_regex(chunk.dictionary, '^".*"$')).as_py()
        for role in ("user", "item")
        for chunk in table[role].chunks
    )


def _check_rows(path: Path, form: Form, encoding: str | None) -> int:
    """Return how many rows a file has; raises `UserError` for quotes that are not closed."""
    n_rows = 0
    for line, cells in _rows(path, form, encoding, strict=True):
        n_rows += 1
        where = f"{path}, line {line}"
        if len(cells) != form.n_columns:
            got = f"{len(cells)}: {shown(cells)}"
            raise UserError(f"{where}: must have {form.n_columns} columns, but got {got}")
        for role, position in form.positions.items():
            if "\n" in cells[position]:
                rule = f"field {role}: must be on one line (is a quote not closed?)"
                raise UserError(f"{where}, {rule}, but got {shown(cells[position])}")
        if any(_has_rows(cell, form) for cell in cells):
            rule = "a quoted cell must not have lines that look like rows (is a quote not closed?)"
            raise UserError(f"{where}: {rule}")
    if not n_rows:
        raise no_ratings(path)
    return n_rows


def _has_rows(cell: str, form: Form) -> bool:
    """Return whether a line within a cell has the columns of a row, and a rating."""
    for line in cell.split("\n")[1:]:
        cells = line.split(form.delimiter)
        if len(cells) == form.n_columns and rating_of(cells[form.positions["rating"]]) is not None:
            return True
    return False


class _Read:
    """A table, and whether it has a row for each line of its text."""

    def __init__(self, table: pa.Table, text: CountedText) -> None:
        self.table, self.n_lines = table, text.n_lines
        self.is_sure = table.num_rows == text.n_lines and not text.is_doubtful


def _read(
    path: Path, form: Form, encoding: str | None, quotes: bool, lines_in_cells: bool = False
) -> _Read | None:
    """Return the columns by pyarrow's reader, or None where it refuses the text."""
    role_of = {position: role for role, position in form.positions.items()}
    names = [role_of.get(n, f"other {n}") for n in range(form.n_columns)]
    plain = is_plain(form.delimiter)
    numbers = form.times_are_numbers and not lines_in_cells
    types = TYPES | {"time": pa.float64() if numbers else pa.string()}
    with open_utf8(path, encoding) as binary:
        text = CountedText(binary, form.delimiter, form.skipped_lines)
        try:
            table = pacsv.read_csv(
                pa.PythonFile(text, mode="r"),
                read_options=pacsv.ReadOptions(column_names=names, block_size=BLOCK),
                parse_options=pacsv.ParseOptions(
                    delimiter=INNER.decode() if plain else form.delimiter,
                    quote_char='"' if quotes else False,
                    newlines_in_values=lines_in_cells,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: types.get(name, pa.string()) for name in names},
                    include_columns=list(form.positions),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        except DAMAGED as error:
            raise damaged(path, error) from error
    return _Read(table, text)


def _rows(
    path: Path, form: Form, encoding: str | None, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each row behind the header."""
    for line, cells in read_lines(path, form.delimiter, encoding, strict):
        if line > form.skipped_lines:
            yield line, cells


def line_of_row(path: Path, form: Form, encoding: str | None, quotes: bool, row: int) -> int:
    """Return the number of the first line of a row, counted from 0."""
    if quotes:
        lines = (line for line, _ in _rows(path, form, encoding))
    else:
        lines = (n for n, line in read_text(path, encoding) if line.strip())
        lines = (n for n in lines if n > form.skipped_lines)
    return next(islice(lines, row, None), form.skipped_lines + row + 1)
