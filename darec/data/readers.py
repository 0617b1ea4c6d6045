"""Rating files to columns: Amazon 2014, 2018, 2023, RecBole ``.inter``, CSV or TSV with a header.

Shapes: N ratings (rows of the file).
"""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from darec.data.ratings import HIGHEST, LOWEST, FloatArray, IntArray
from darec.errors import UserError

Layout = Literal["amazon2014", "amazon2018", "header"]
"""``amazon2014``: user,item,rating,time; ``amazon2018``: item,user,...; ``header``: named."""

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
REVIEWER = re.compile(r"A[0-9A-Z]{9,20}")
SAMPLE_LINES = 200


@dataclass(frozen=True, eq=False)
class RawRatings:
    """A rating file in columns, ids as codes into their vocabularies, in file order."""

    path: Path
    users: IntArray
    user_ids: npt.NDArray[np.object_]
    items: IntArray
    item_ids: npt.NDArray[np.object_]
    values: FloatArray
    times: npt.NDArray[np.float64]
    """f64[N]; zeros where the file has no timestamps."""

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class _Form:
    columns: tuple[str, ...]
    has_header: bool
    delimiter: str


def read_ratings(path: Path, layout: Layout | None = None) -> RawRatings:
    """Read a rating file, plain or gzipped; its layout is recognised unless forced.

    Headerless files are taken as Amazon 2018 where more of the second column than of the first
    looks like Amazon reviewer ids, else as Amazon 2014. Raises `UserError` with one line naming the
    file, line, field, rule and value for whatever is wrong.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    form = _recognise(path, layout)
    ids = pa.dictionary(pa.int32(), pa.string())
    types = {"user": ids, "item": ids, "rating": pa.float64(), "time": pa.float64()}
    try:
        with pa.input_stream(str(path), compression="gzip" if _is_gzip(path) else None) as stream:
            table = pacsv.read_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    column_names=list(form.columns), skip_rows=int(form.has_header)
                ),
                parse_options=pacsv.ParseOptions(delimiter=form.delimiter),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: types.get(name, pa.string()) for name in form.columns},
                    include_columns=[name for name in form.columns if name in types],
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _diagnosis(path, form, str(error)) from error
    if not table.num_rows:
        raise UserError(f"{path}: a rating file must have at least one rating, but it is empty")
    rating = table["rating"]
    in_range = pc.and_(pc.greater_equal(rating, LOWEST), pc.less_equal(rating, HIGHEST))
    nulls = any(table[name].null_count for name in table.column_names)
    if nulls or not pc.all(pc.fill_null(in_range, False)).as_py():
        raise _diagnosis(path, form, "a field is missing or out of range")
    users, user_ids = _codes(table["user"])
    items, item_ids = _codes(table["item"])
    has_time = "time" in table.column_names
    times = table["time"].to_numpy() if has_time else np.zeros(table.num_rows)
    values = rating.to_numpy().astype(np.float32)
    return RawRatings(path, users, user_ids, items, item_ids, values, times)


def _codes(column: pa.ChunkedArray) -> tuple[IntArray, npt.NDArray[np.object_]]:
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.indices.to_numpy(), array.dictionary.to_numpy(zero_copy_only=False)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _text(path: Path) -> IO[str]:
    raw = gzip.open(path, "rb") if _is_gzip(path) else path.open("rb")
    return io.TextIOWrapper(raw, encoding="utf-8", newline="")


def _lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells); raises `UserError` where the file is no text or cut short."""
    number = 0
    try:
        with _text(path) as text:
            reader = csv.reader(text, delimiter=delimiter)
            for cells in reader:
                number = reader.line_num
                if any("\0" in cell for cell in cells):
                    raise UserError(f"{path}, line {number}: must be text, but has a NUL byte")
                if cells:
                    yield number, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, after line {number}: must be UTF-8 text: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        rule = "a gzip file must be complete (truncated or damaged)"
        raise UserError(f"{path}, after line {number}: {rule}: {error}") from error
    except csv.Error as error:
        raise UserError(f"{path}, line {number + 1}: must be delimited text: {error}") from error


def _recognise(path: Path, layout: Layout | None) -> _Form:
    first = next(_lines(path, "\t"), None)
    if first is None:
        raise UserError(f"{path}: a rating file must have at least one rating, but it is empty")
    delimiter = "\t" if len(first[1]) > 1 else ","
    lines = _lines(path, delimiter)
    sample = [cells for _, cells in zip(range(SAMPLE_LINES), (c for _, c in lines), strict=False)]
    named = _named(sample[0])
    if layout == "header" or (layout is None and named.keys() >= {"user", "item", "rating"}):
        missing = sorted({"user", "item", "rating"} - named.keys())
        if missing:
            rule = f"the header must name a {missing[0]} column"
            raise UserError(f"{path}, line 1: {rule}, but got {sample[0]!r}")
        by_position = {position: name for name, position in named.items()}
        columns = tuple(by_position.get(i, f"other{i}") for i in range(len(sample[0])))
        return _Form(columns, True, delimiter)
    if len(sample[0]) != 4:
        rule = "must have a header naming user, item and rating, or 4 columns with a timestamp"
        raise UserError(f"{path}, line 1: {rule}, but got {len(sample[0])} columns: {sample[0]!r}")
    if layout is None:
        reviewers = [
            sum(bool(REVIEWER.fullmatch(cells[i])) for cells in sample if len(cells) > i)
            for i in (0, 1)
        ]
        layout = "amazon2018" if reviewers[1] > reviewers[0] else "amazon2014"
    return _Form(HEADERLESS[layout], False, delimiter)


def _named(cells: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, cell in enumerate(cells):
        name = cell.strip().lstrip("\ufeff").lower().split(":")[0]
        for kind, aliases in ALIASES.items():
            if name in aliases:
                found.setdefault(kind, position)
    return found


def _diagnosis(path: Path, form: _Form, reason: str) -> UserError:
    """Return the error of the first bad line: a second, slow pass over a file known to be bad."""
    try:
        for number, cells in _lines(path, form.delimiter):
            if form.has_header and number == 1:
                continue
            where = f"{path}, line {number}"
            if len(cells) != len(form.columns):
                rule = f"must have {len(form.columns)} columns"
                return UserError(f"{where}: {rule}, but got {len(cells)}: {cells!r}")
            for name, cell in zip(form.columns, cells, strict=True):
                problem = _problem(name, cell)
                if problem:
                    return UserError(f"{where}, field {name}: {problem}, but got {cell!r}")
    except UserError as error:
        return error
    return UserError(f"{path}: cannot be read as ratings: {reason.splitlines()[0]}")


def _problem(name: str, cell: str) -> str | None:
    if name in ("user", "item"):
        return None if cell else f"the {name} id must not be empty"
    if name not in ("rating", "time"):
        return None
    try:
        value = float(cell)
    except ValueError:
        return "must be a number"
    if name == "rating" and not LOWEST <= value <= HIGHEST:
        return f"must lie in [{LOWEST:g}, {HIGHEST:g}]"
    return "must be a finite number" if not math.isfinite(value) else None
