"""Read a rating file into columns, or say which line is wrong.

Shapes: N ratings (lines of the file).
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from darec.data.layouts import Form, Layout, is_gzip, read_lines, recognise, shown
from darec.data.ratings import HIGHEST, LOWEST, FloatArray, IntArray
from darec.errors import UserError

IDS = pa.dictionary(pa.int32(), pa.string())
TYPES = {"user": IDS, "item": IDS, "rating": pa.float64(), "time": pa.float64()}


@dataclass(frozen=True, eq=False)
class RawRatings:
    """The columns of a rating file, in file order; ``users[n]`` is a position in ``user_ids``."""

    path: Path
    users: IntArray
    user_ids: npt.NDArray[np.object_]
    items: IntArray
    item_ids: npt.NDArray[np.object_]
    values: FloatArray
    times: npt.NDArray[np.float64]
    """f64[N]; zeros if the file has no timestamps."""

    def __len__(self) -> int:
        return len(self.values)


def read_ratings(path: Path, layout: Layout | None = None) -> RawRatings:
    """Read a rating file, plain or gzipped, of a given layout or of the one that it looks like.

    Raises `UserError` with one line that names the file, line, field, rule and value of the first
    problem.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    form = recognise(path, layout)
    try:
        with pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None) as stream:
            table = pacsv.read_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    column_names=list(form.columns), skip_rows=int(form.has_header)
                ),
                parse_options=pacsv.ParseOptions(delimiter=form.delimiter),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: TYPES.get(name, pa.string()) for name in form.columns},
                    include_columns=[name for name in form.columns if name in TYPES],
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _first_problem(path, form, str(error)) from error
    if not table.num_rows:
        raise UserError(f"{path}: a rating file must have at least one rating, but it is empty")
    rating = table["rating"]
    in_range = pc.and_(pc.greater_equal(rating, LOWEST), pc.less_equal(rating, HIGHEST))
    nulls = any(table[name].null_count for name in table.column_names)
    if nulls or not pc.all(pc.fill_null(in_range, False)).as_py():
        raise _first_problem(path, form, "a field is missing or out of range")
    users, user_ids = _codes(table["user"])
    items, item_ids = _codes(table["item"])
    has_time = "time" in table.column_names
    times = table["time"].to_numpy() if has_time else np.zeros(table.num_rows)
    values = rating.to_numpy().astype(np.float32)
    return RawRatings(path, users, user_ids, items, item_ids, values, times)


def _codes(column: pa.ChunkedArray) -> tuple[IntArray, npt.NDArray[np.object_]]:
    """Return a dictionary column's codes i32[N] and the distinct ids that they point to."""
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.indices.to_numpy(), array.dictionary.to_numpy(zero_copy_only=False)


def _first_problem(path: Path, form: Form, reason: str) -> UserError:
    """Return the error of the first bad line of a file that is known to be bad.

    This is a second and slow pass, since the fast reader does not tell line numbers.
    """
    try:
        for number, cells in read_lines(path, form.delimiter):
            if form.has_header and number == 1:
                continue
            where = f"{path}, line {number}"
            if len(cells) != len(form.columns):
                rule = f"must have {len(form.columns)} columns"
                return UserError(f"{where}: {rule}, but got {len(cells)}: {shown(cells)}")
            for name, cell in zip(form.columns, cells, strict=True):
                problem = _problem(name, cell)
                if problem:
                    return UserError(f"{where}, field {name}: {problem}, but got {shown(cell)}")
    except UserError as error:
        return error
    return UserError(f"{path}: cannot be read as ratings: {reason.splitlines()[0]}")


def _problem(name: str, cell: str) -> str | None:
    """Return the rule that a cell of a column breaks, or None."""
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
