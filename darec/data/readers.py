"""Read rating files of any form into arrays, or say what is wrong and where.

Shapes: N ratings (rows of the files).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from darec.data.columns import shown
from darec.data.delimited import line_of_row, read_delimited
from darec.data.json_lines import line_of_object, looks_like_json, read_json_lines
from darec.data.layouts import AS_RECOGNISED, ReadOptions, recognise
from darec.data.parquet import read_parquet
from darec.data.ratings import FloatArray, IntArray
from darec.data.text import PARQUET, NoRatings, begins_with, no_ratings
from darec.data.times import Times, times
from darec.data.values import BadCell, ratings
from darec.errors import UserError

Ids = npt.NDArray[np.object_]
Place = Callable[[int], str]
"""Names a row's place in its file, ``FILE, line 12``."""


@dataclass(frozen=True, eq=False)
class RawRatings:
    """The ratings of one or more files, in their order; ``users[n]`` is a position in ``user_ids``.

    ``values f32[N]`` are in the file's own scale, ``times f64[N]`` NaN where there is no time.
    """

    path: Path
    users: IntArray
    user_ids: Ids
    items: IntArray
    item_ids: Ids
    values: FloatArray
    times: Times
    notes: tuple[str, ...]
    """One sentence a file, which says which column was read as what."""
    place: Place
    """Names a rating's place, for messages."""

    def __len__(self) -> int:
        return len(self.values)


def read_ratings(path: Path | Sequence[Path], options: ReadOptions = AS_RECOGNISED) -> RawRatings:
    """Read a domain's ratings: a file, several, or all files of a folder in order of their names.

    Files are CSV, TSV and the like, JSON lines or Parquet, plain or packed (`open_utf8`). None of
    their rows is left out.
    Raises `UserError` with one line that names the file, line, field, rule and value of the first
    problem.
    """
    files = list_files(path)
    if len(files) == 1:
        return _read(files[0], options)
    parts, empty = [], []
    for file in files:
        try:
            parts.append(_read(file, options))
        except NoRatings:
            empty.append(f"{file}: no rows")
    if not parts:
        raise no_ratings(files[0].parent)
    joined = _joined(files[0].parent, parts)
    return replace(joined, notes=(*joined.notes, *empty))


def list_files(path: Path | Sequence[Path]) -> list[Path]:
    """Return the files of a domain; a folder stands for its files, in order of their names.

    Raises `UserError` for an empty folder, or if a file is named twice.
    """
    given = [path] if isinstance(path, Path) else list(path)
    files = []
    for each in given:
        inside = sorted(each.iterdir()) if each.is_dir() else [each]
        found = [file for file in inside if file == each or file.name[0] not in "._"]
        if not found:
            raise UserError(f"{each}: a folder of ratings must have a file, but is empty")
        files += found
    if len({file.resolve() for file in files}) != len(files):
        raise UserError(f"{given[0]}: each file of a domain must be named once")
    return files


def _read(path: Path, options: ReadOptions) -> RawRatings:
    beginning = begins_with(path)
    if beginning.startswith(PARQUET):
        table, message = read_parquet(path, options.columns)
        place = _place(path, "row", lambda row: row + 1)
    elif looks_like_json(beginning):
        table, message = read_json_lines(path, options.columns, options.encoding)
        place = _place(path, "line", partial(line_of_object, path, options.encoding))
    else:
        form = recognise(path, options)
        read, message = read_delimited(path, form, options.encoding), form.note
        table = read.table
        line = partial(line_of_row, path, form, options.encoding, read.quotes)
        place = _place(path, "line", line)
    if not table.num_rows:
        raise no_ratings(path)
    try:
        users, user_ids = _codes(table["user"], "user")
        items, item_ids = _codes(table["item"], "item")
        value_N = ratings(_encoded(table["rating"]))
        has_time = "time" in table.column_names
        time_N = times(_one(table["time"])) if has_time else np.full(len(table), np.nan)
    except BadCell as error:
        raise UserError(f"{place(error.row)}, {error}") from error
    return RawRatings(path, users, user_ids, items, item_ids, value_N, time_N, (message,), place)


def _place(path: Path, word: str, number: Callable[[int], int]) -> Place:
    """Return the function that names a row's place in a file."""

    def place(row: int) -> str:
        return f"{path}, {word} {number(row)}"

    return place


def _codes(column: pa.ChunkedArray, role: str) -> tuple[IntArray, Ids]:
    """Return a column's codes i32[N] and the distinct ids that they point to."""
    array = _encoded(column)
    ids = array.dictionary
    for is_bad, rule in (
        (pc.equal(ids, ""), "must not be empty"),
        (pc.match_substring(ids, "\0"), "must be text, but has a NUL byte"),
        (pc.match_substring_regex(ids, r'^\s+"'), "must not have a blank before its quote"),
    ):
        bad = np.append(is_bad.to_numpy(zero_copy_only=False), "empty" in rule)
        rows = np.flatnonzero(bad[array.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
        if len(rows):
            got = shown(array[int(rows[0])].as_py() or "")
            raise BadCell(int(rows[0]), role, f"the {role} id {rule}, but got {got}")
    return array.indices.to_numpy(), array.dictionary.to_numpy(zero_copy_only=False)


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    is_encoded = pa.types.is_dictionary(column.type)
    return _one(column.unify_dictionaries() if is_encoded else column.dictionary_encode())


def _one(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if not isinstance(array, pa.ChunkedArray):
        return array
    return array.chunk(0) if array.num_chunks else pa.array([], column.type)


def _joined(path: Path, parts: Sequence[RawRatings]) -> RawRatings:
    """Return the ratings of several files as one."""
    users, user_ids = _shared_codes([(part.users, part.user_ids) for part in parts])
    items, item_ids = _shared_codes([(part.items, part.item_ids) for part in parts])
    starts = np.cumsum([0, *(len(part) for part in parts)])

    def place(row: int) -> str:
        file = int(np.searchsorted(starts, row, "right")) - 1
        return parts[file].place(row - int(starts[file]))

    return RawRatings(
        path,
        users,
        user_ids,
        items,
        item_ids,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.times for part in parts]),
        tuple(line for part in parts for line in part.notes),
        place,
    )


def _shared_codes(parts: Sequence[tuple[IntArray, Ids]]) -> tuple[IntArray, Ids]:
    """Return codes of several files as codes of one list of distinct ids."""
    all_ids = np.concatenate([ids for _, ids in parts])
    code_of_id, ids = pd.factorize(all_ids)
    starts = np.cumsum([0, *(len(ids) for _, ids in parts)])
    codes = [code_of_id[start + code_N] for start, (code_N, _) in zip(starts, parts, strict=False)]
    return np.concatenate(codes).astype(np.int32), np.asarray(ids, object)
