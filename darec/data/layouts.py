"""Tell how a text file's rows are written: its delimiter, its header and its columns."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from darec.data.columns import (
    NO_TIME,
    REQUIRED,
    ROLES,
    Columns,
    TwoColumns,
    chosen_columns,
    columns_of,
    columns_sentence,
    shown,
)
from darec.data.lines import BLANKS, OPEN_QUOTE, Row, is_plain, read_text, split_line
from darec.data.ratings import Domain
from darec.data.text import no_ratings
from darec.data.values import rating_of
from darec.errors import UserError

Layout = Literal["amazon2014", "amazon2018", "header"]
"""``amazon2014``: user,item,rating,time without a header; ``amazon2018``: item,user,rating,time
without a header; ``header``: the first line names the columns."""

HEADERLESS: dict[Layout, tuple[str, ...]] = {
    "amazon2014": ("user", "item", "rating", "time"),
    "amazon2018": ("item", "user", "rating", "time"),
}
DELIMITERS = ("\t", "::", ";", "|", ",", BLANKS)
"""The delimiters that are recognised; of those that fit, the first is taken."""
REVIEWER = re.compile(r"A[0-9A-Z]{9,20}")
"""An Amazon reviewer id."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\1*\s*', re.IGNORECASE)
"""The line that names the delimiter for Excel."""
LEAST_TIME = 1e8
"""Numbers above are times, and no ratings."""
SAMPLE_LINES = 200
"""The number of lines that show a file's form."""


@dataclass(frozen=True)
class ReadOptions:
    """What a person says of a rating file; None: what is recognised."""

    layout: Layout | None = None
    columns: Columns | None = None
    """The columns of roles, or of one domain's, as ``source.user``."""
    delimiter: str | None = None
    encoding: str | None = None

    def of(self, domain: Domain) -> "ReadOptions":
        """Return what is said of one domain's files.

        Raises `UserError` for bad columns or a bad delimiter.
        """
        delimiter = {r"\t": "\t", "tab": "\t", "space": BLANKS}.get(
            self.delimiter or "", self.delimiter
        )
        if delimiter is not None and (not delimiter or set(delimiter) & set('"\r\n\0')):
            rule = "--delimiter must be one or more characters, but no quote or line end"
            raise UserError(f"{rule}, but got {self.delimiter!r}")
        return replace(self, columns=columns_of(domain, self.columns), delimiter=delimiter)


AS_RECOGNISED = ReadOptions()


@dataclass(frozen=True)
class Form:
    """How a text file's rows are to be read."""

    delimiter: str
    n_columns: int
    positions: dict[str, int]
    """The position of the column of each role."""
    skipped_lines: int
    """Lines before the first rating: blank lines, Excel's line of the separator, the header."""
    note: str
    """The sentence that says which column is read as what."""
    times_are_numbers: bool
    """Whether the first times are."""


def recognise(path: Path, options: ReadOptions = AS_RECOGNISED) -> Form:
    """Return the form of a text file, as far as the options leave it open.

    The delimiter is the first with which a header names user, item and rating. If there is none,
    each delimiter is scored by two shares of the rows, and the highest sum wins: rows with as many
    cells as the first row, if these are three or more; and rows of three or four cells whose third
    cell is a rating. A file without a header has the columns user, item, rating and, if there are
    four, time. It is taken as Amazon 2018, item first, if its second column has more Amazon
    reviewer ids than its first.
    Raises `UserError` for a file that is empty, or whose columns are not known.
    """
    lines = [line for _, line in islice(read_text(path, options.encoding), SAMPLE_LINES)]
    blank = next((n for n, line in enumerate(lines) if line.strip()), None)
    if blank is None:
        raise no_ratings(path)
    if (odd := next((n for n, line in enumerate(lines) if line.endswith("\r")), None)) is not None:
        rule = "a line must end in LF or CR LF, but this one ends in CR alone"
        raise UserError(f"{path}, line {odd + 1}: {rule}; tr '\\r' '\\n' < FILE > OTHER mends it")
    delimiter, skipped = options.delimiter, blank
    excel = SEPARATOR_LINE.fullmatch(lines[blank])
    if excel:
        delimiter, skipped = delimiter or excel[1], skipped + 1
        skipped += next((n for n, line in enumerate(lines[skipped:]) if line.strip()), 0)
    elif delimiter is None:
        delimiter = _delimiter(lines[skipped:], options)
    rows = list(_rows(lines[skipped:], delimiter))
    if not rows:
        raise no_ratings(path)
    (first_lines, first), where = rows[0], f"{path}, line {skipped + 1}"
    if any("\n" in cell for cell in first):
        if delimiter not in "\t|":
            raise UserError(f"{where}: {OPEN_QUOTE}")
        rows = [(1, split_line(line, delimiter)) for line in lines[skipped:] if line.strip()]
        first_lines, first = rows[0]
    sample = [cells for _, cells in rows]
    try:
        named = None if _forced(options) else _header(first, options)
        found = _headerless(sample, options) if named is None else named
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    if named is not None:
        skipped, sample = skipped + first_lines, sample[1:]
    sentence = columns_sentence(path, None if named is None else first, found)
    numbers = _times_are_numbers(sample, found)
    return Form(delimiter, len(first), found, skipped, sentence, numbers)


def _times_are_numbers(sample: Sequence[Row], found: dict[str, int]) -> bool:
    """Return whether the times of some rows are numbers, or not there."""
    cells = [row[found["time"]] for row in sample if found.get("time", len(row)) < len(row)]
    return all(not cell or rating_of(cell) is not None for cell in cells)


def _forced(options: ReadOptions) -> bool:
    return options.layout in HEADERLESS


def _header(first: Row, options: ReadOptions) -> dict[str, int] | None:
    """Return the positions of the roles if the first row is a header that names them, else None.

    Raises `ValueError` for a header that names some of them, or one twice.
    """
    if options.columns and _are_positions(first, options.columns):
        return None
    found = chosen_columns(first, options.columns)
    missing = sorted(REQUIRED - found.keys())
    if not missing:
        is_header = rating_of(first[found["rating"]]) is None
        return found if is_header or options.layout == "header" else None
    rating = first[2] if len(first) in (3, 4) else ""
    if options.layout != "header" and rating_of(rating) is not None:
        return None
    if options.layout != "header" and not found and _numbers(first):
        rule = "without a header a row must have 3 or 4 cells (user, item, rating, time)"
        remedy = "say which is which: --columns user=1,item=2,rating=3"
        raise ValueError(f"{rule}, but got {len(first)} columns: {shown(first)}; {remedy}")
    say = ",".join(f"{role}=NAME" for role in ROLES if role in missing)
    got = f"{len(first)} columns: {shown(first)}"
    raise ValueError(f"the header must name the {missing[0]}, but has {got}; say --columns {say}")


def _are_positions(first: Row, columns: Columns) -> bool:
    """Return whether columns are named by their positions, and the first row has a rating there."""
    given = [column for column in columns.values() if column != NO_TIME]
    if not all(column.isascii() and column.isdigit() for column in given):
        return False
    rating = int(columns.get("rating", 0))
    return 1 <= rating <= len(first) and rating_of(first[rating - 1]) is not None


def _numbers(row: Row) -> bool:
    return any(rating_of(cell) is not None for cell in row)


def _headerless(sample: Sequence[Row], options: ReadOptions) -> dict[str, int]:
    """Return the positions of the roles in a file without a header."""
    if options.columns is not None:
        found = chosen_columns(["" for _ in sample[0]], options.columns)
        if found.keys() < REQUIRED:
            message = ",".join(f"{role}=NUMBER" for role in ROLES if role in REQUIRED)
            raise ValueError(f"without a header --columns must be {message}")
        return found
    if len(sample[0]) not in (3, 4):
        rule = "without a header a row must have 3 or 4 cells (user, item, rating, time)"
        raise ValueError(f"{rule}, but got {len(sample[0])} columns: {shown(sample[0])}")
    rows = [row for row in sample if len(row) == 4]
    if rows and all(
        (rating_of(row[2]) or 0) > LEAST_TIME > (rating_of(row[3]) or 0) for row in rows
    ):
        raise ValueError("the third column looks like times; say --columns user=1,item=2,rating=4")
    layout = options.layout
    if layout not in HEADERLESS:
        reviewers = [
            sum(bool(REVIEWER.fullmatch(row[n])) for row in sample if len(row) > n) for n in (0, 1)
        ]
        layout = "amazon2018" if reviewers[1] > reviewers[0] else "amazon2014"
    return {role: n for n, role in enumerate(HEADERLESS[layout][: len(sample[0])])}


def _delimiter(lines: Sequence[str], options: ReadOptions) -> str:
    """Return the delimiter of a file, which its first lines show."""
    best, best_share = "\t" if "\t" in lines[0] else ",", 0.0
    for delimiter in DELIMITERS:
        rows = [cells for _, cells in _rows(lines, delimiter)]
        if rows and _names_all(rows[0], options):
            return delimiter
        equal = sum(len(row) == len(rows[0]) >= 3 for row in rows)
        rated = sum(len(row) in (3, 4) and rating_of(row[2]) is not None for row in rows)
        share = (equal + rated) / max(1, len(rows))
        if share > best_share:
            best, best_share = delimiter, share
    return best


def _names_all(row: Row, options: ReadOptions) -> bool:
    """Return whether a row is a header with every role, some perhaps twice."""
    try:
        return chosen_columns(row, options.columns).keys() >= REQUIRED
    except TwoColumns:
        return True
    except ValueError:
        return False


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, Row]]:
    """Yield how many lines each row has, and its cells; blank lines belong to the row before."""
    if is_plain(delimiter):
        yield from ((1, split_line(line, delimiter)) for line in lines if line.strip())
        return
    reader = csv.reader(lines, delimiter=delimiter)
    begin = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num - begin, cells
            begin = reader.line_num
    except csv.Error:
        return
