"""Read named columns of a CSV, TSV or Parquet file, in chunks, or say which line is wrong.

The header may call a user or an item as in a rating file. A text file may be packed.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from darec.data.columns import NAMES, named_columns, shown
from darec.data.counted_text import CountedText
from darec.data.lines import read_lines
from darec.data.parquet import check_ids
from darec.data.text import DAMAGED, PARQUET, begins_with, open_utf8
from darec.errors import UserError

BYTES_AT_ONCE = 2**20
"""Bytes of a chunk. pyarrow reads 32 chunks ahead. A row longer than a chunk is refused."""
ROWS_AT_ONCE = 2**16
"""Rows of a chunk of a Parquet file."""
TITLE = "title"
"""The only column that may be empty."""


def read_chunks(path: Path, *names: str) -> Iterator[pa.RecordBatch]:
    """Yield the named columns as text, in this order, of some rows at a time.

    They are `BYTES_AT_ONCE` bytes of a text file, or `ROWS_AT_ONCE` rows of a Parquet file.
    Raises `UserError` with one line that names the file, the line, the rule and what was found.
    """
    if begins_with(path).startswith(PARQUET):
        yield from _parquet_chunks(path, names)
        return
    delimiter, header, found = _form(path, names)
    columns = [f"column {position}" for position in range(len(header))]
    chosen = [columns[found[name]] for name in names]
    try:
        with (
            open_utf8(path) as binary,
            CountedText(binary, delimiter, skipped_lines=0) as text,
            pacsv.open_csv(
                pa.PythonFile(text, mode="r"),
                read_options=pacsv.ReadOptions(
                    column_names=columns, skip_rows=1, block_size=BYTES_AT_ONCE
                ),
                parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(chosen, pa.string()),
                    include_columns=chosen,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            ) as reader,
        ):
            n_rows = 1  # the header
            for chunk in reader:
                n_rows += len(chunk)
                for name, column in zip(names, chunk.columns, strict=True):
                    if name != TITLE and column.null_count:
                        raise pa.ArrowInvalid(f"a {name} is missing")
                yield chunk
            if text.is_doubtful or n_rows != text.n_lines:
                n_expected = sum(1 for _ in read_lines(path, delimiter, strict=True))
                if n_rows != n_expected:
                    raise pa.ArrowInvalid(f"{n_rows} rows were read of {n_expected}")
    except (pa.ArrowInvalid, *DAMAGED) as error:
        for _ in read_columns(path, *names):
            pass  # this slow reader knows the line, and tells it
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: must be delimited text, but cannot be read: {reason}") from error


def read_columns(path: Path, *names: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each row's place and its cells of the named columns; raises as `read_chunks` does.

    A place is ``FILE, line 12``, or ``FILE, row 11`` of a Parquet file.
    """
    if begins_with(path).startswith(PARQUET):
        rows = (row for chunk in _parquet_chunks(path, names) for row in chunk.to_pylist())
        for number, row in enumerate(rows, 1):
            yield f"{path}, row {number}", [row[name] or "" for name in names]
        return
    delimiter, header, found = _form(path, names)
    for number, cells in islice(read_lines(path, delimiter), 1, None):
        place = f"{path}, line {number}"
        if len(cells) != len(header):
            rule = f"must have {len(header)} columns as the header has"
            raise UserError(f"{place}: {rule}, but got {len(cells)}: {shown(cells)}")
        for name in names:
            if name != TITLE and not cells[found[name]]:
                raise UserError(f"{place}: the {name} must not be empty")
        yield place, [cells[found[name]] for name in names]


def _parquet_chunks(path: Path, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield the named columns of a Parquet file as text, called by these names."""
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            found = _positions(str(path), header, names)
            columns = {name: header[found[name]] for name in names}
            for name in names:
                if name != TITLE:
                    check_ids(file.schema_arrow.field(found[name]).type, name)
            n_before = 0
            for part in file.iter_batches(ROWS_AT_ONCE, columns=list(columns.values())):
                chunk = {name: part[column].cast(pa.string()) for name, column in columns.items()}
                for name, cells in chunk.items():
                    empty_N = pc.equal(cells, "").fill_null(True).to_numpy(zero_copy_only=False)
                    if name != TITLE and empty_N.any():
                        row = n_before + int(empty_N.argmax()) + 1
                        raise UserError(f"{path}, row {row}: the {name} must not be empty")
                n_before += len(part)
                yield pa.RecordBatch.from_pydict(chunk)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: must be a whole Parquet file: {str(error)[:100]}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def read_titles(path: Path) -> dict[str, str]:
    """Return the title of each item of a file with the columns item and title.

    An empty title is none. Raises `UserError` like `read_chunks`, and for an item with two titles.
    """
    titles: dict[str, str] = {}
    for place, (item, title) in read_columns(path, "item", TITLE):
        if titles.setdefault(item, title) != title:
            rule = f"item {shown(item)} must have one title"
            got = f"{shown(titles[item])} before and {shown(title)} here"
            raise UserError(f"{place}: {rule}, but got {got}")
    return {item: title for item, title in titles.items() if title}


def _form(path: Path, names: tuple[str, ...]) -> tuple[str, list[str], dict[str, int]]:
    """Return the delimiter, the header, and the position of each named column in it."""
    first = next(read_lines(path, "\t"), None)
    if first is None:
        raise UserError(f"{path}: {_rule(names)}, but is empty")
    delimiter = "\t" if len(first[1]) > 1 else ","
    line, header = next(read_lines(path, delimiter))
    return delimiter, header, _positions(f"{path}, line {line}", header, names)


def _positions(place: str, header: list[str], names: tuple[str, ...]) -> dict[str, int]:
    """Return the position of each named column in a header."""
    try:
        found = named_columns(header, {name: NAMES.get(name, ({name},)) for name in names})
    except ValueError as error:
        message, _, _ = str(error).partition("; say which")
        raise UserError(f"{place}: {message}; leave one out") from error
    if len(found) < len(names):
        raise UserError(f"{place}: {_rule(names)}, but got {shown(header)}")
    return found


def _rule(names: tuple[str, ...]) -> str:
    return f"must have a header that names the columns {' and '.join(names)}"
