"""The layouts of rating files: Amazon 2014, 2018 and 2023, RecBole ``.inter``, CSV and TSV."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Literal

from darec.errors import UserError

Layout = Literal["amazon2014", "amazon2018", "header"]
"""``amazon2014``: user,item,rating,time without a header; ``amazon2018``: item,user,rating,time
without a header; ``header``: the first line names the columns."""

HEADERLESS: dict[Layout, tuple[str, ...]] = {
    "amazon2014": ("user", "item", "rating", "time"),
    "amazon2018": ("item", "user", "rating", "time"),
}
ALIASES = {
    "user": {"user", "user_id", "userid", "uid", "reviewerid", "reviewer_id"},
    "item": {"item", "item_id", "itemid", "iid", "parent_asin", "asin", "product_id", "movieid"},
    "rating": {"rating", "ratings", "stars", "score", "overall"},
    "time": {"timestamp", "time", "unixreviewtime"},
}
"""The column names that a header may use, in lower case."""
REQUIRED = {"user", "item", "rating"}
REVIEWER = re.compile(r"A[0-9A-Z]{9,20}")
"""An Amazon reviewer id."""
SAMPLE_LINES = 200
"""Lines that are read to tell Amazon 2014 from Amazon 2018."""
LONGEST_ROW = 2**20
"""Most characters of a row. A small gzip file may hold a row that does not fit into memory."""
SHOWN = 200
"""Most characters of a file that a message repeats."""


@dataclass(frozen=True)
class Form:
    """How a file's columns are to be read."""

    columns: tuple[str, ...]
    """``user``, ``item``, ``rating``, ``time``, or another name for a column that is not read."""
    has_header: bool
    delimiter: str


def recognise(path: Path, layout: Layout | None = None) -> Form:
    """Return the form of a rating file of a given layout, or of the one that it looks like.

    A file without a header is taken as Amazon 2018 if its second column has more Amazon reviewer
    ids than its first, and as Amazon 2014 otherwise.
    Raises `UserError` for a file that is empty or has no layout of these.
    """
    first = next(read_lines(path, "\t"), None)
    if first is None:
        raise UserError(f"{path}: a rating file must have at least one rating, but it is empty")
    delimiter = "\t" if len(first[1]) > 1 else ","
    rows = (cells for _, cells in read_lines(path, delimiter))
    header = next(rows)
    sample = [cells[:2] for cells in chain([header], islice(rows, SAMPLE_LINES - 1))]
    named = named_columns(header)
    if layout == "header" or (layout is None and named.keys() >= REQUIRED):
        missing = sorted(REQUIRED - named.keys())
        if missing:
            rule = f"the header must name a {missing[0]} column"
            raise UserError(f"{path}, line 1: {rule}, but got {shown(header)}")
        by_position = {position: name for name, position in named.items()}
        columns = tuple(by_position.get(i, f"other{i}") for i in range(len(header)))
        return Form(columns, True, delimiter)
    if len(header) != 4:
        rule = "must have a header naming user, item and rating, or 4 columns with a timestamp"
        raise UserError(f"{path}, line 1: {rule}, but got {len(header)} columns: {shown(header)}")
    if layout is None:
        reviewers = [
            sum(bool(REVIEWER.fullmatch(cells[i])) for cells in sample if len(cells) > i)
            for i in (0, 1)
        ]
        layout = "amazon2018" if reviewers[1] > reviewers[0] else "amazon2014"
    return Form(HEADERLESS[layout], False, delimiter)


def named_columns(
    header: list[str], columns: Mapping[str, Collection[str]] = ALIASES
) -> dict[str, int]:
    """Return the position of each column that a header names; RecBole adds a type after a colon.

    ``columns`` has the names of each, in lower case; of several columns the first counts.
    """
    found: dict[str, int] = {}
    for position, cell in enumerate(header):
        name = cell.strip().lstrip("\ufeff").lower().split(":")[0]
        for kind, aliases in columns.items():
            if name in aliases:
                found.setdefault(kind, position)
    return found


def is_gzip(path: Path) -> bool:
    """Return whether a file begins as gzip files do."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every row that is not empty.

    Raises `UserError` where the file is not UTF-8 text, where a row is longer than `LONGEST_ROW`,
    or where a gzip file is damaged.
    """
    number = 0
    length = 0

    def bounded_lines(text: IO[str]) -> Iterator[str]:
        """Yield the lines of a text, none of them whole if their row is too long."""
        nonlocal length
        while line := text.readline(LONGEST_ROW + 1):
            length += len(line)
            if length > LONGEST_ROW:
                rule = f"a row must have at most {LONGEST_ROW} characters"
                raise UserError(f"{path}, line {number + 1}: {rule}, but one goes on")
            yield line

    try:
        with _open_text(path) as text:
            reader = csv.reader(bounded_lines(text), delimiter=delimiter)
            for cells in reader:
                number, length = reader.line_num, 0
                if any("\0" in cell for cell in cells):
                    raise UserError(f"{path}, line {number}: must be text, but has a NUL byte")
                if cells:
                    yield number, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, after line {number}: must be UTF-8 text: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        rule = "a gzip file must be complete, but it is truncated or damaged"
        raise UserError(f"{path}, after line {number}: {rule}: {error}") from error
    except csv.Error as error:
        raise UserError(f"{path}, line {number + 1}: must be delimited text: {error}") from error


def shown(value: object) -> str:
    """Return a value of a file for a message, which stays short however long the value is."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _open_text(path: Path) -> IO[str]:
    raw = gzip.open(path, "rb") if is_gzip(path) else path.open("rb")
    return io.TextIOWrapper(raw, encoding="utf-8", newline="")
