"""Read a Parquet file's columns of users, items, ratings and times."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from darec.data.codes import joined, times_of
from darec.data.columns import Columns, columns_sentence, required_columns
from darec.data.text import no_ratings
from darec.errors import UserError

ID_KINDS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer),
    *(pa.types.is_binary, pa.types.is_large_binary),
)

ROWS = 2**20
"""Rows that are in memory as text at once."""


def read_parquet(path: Path, columns: Columns | None) -> tuple[pa.Table, str]:
    """Return the columns of a file by their roles, and which column is read as what.

    Raises `UserError` for a damaged file, and for one without a column of users, items or ratings.
    """
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            found = required_columns(header, columns)
            if twice := [name for name in header if header.count(name) > 1]:
                raise UserError(
                    f"{path}: columns must have different names, but two are {twice[0]!r}"
                )
            names = {role: header[n] for role, n in found.items()}
            parts = file.iter_batches(ROWS, columns=list(names.values()))
            table = joined(
                {role: _cells(part[name], role) for role, name in names.items()} for part in parts
            )
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: must be a whole Parquet file: {str(error)[:100]}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if not table.num_rows:
        raise no_ratings(path)
    return table, columns_sentence(path, header, found)


def _cells(column: pa.Array, role: str) -> pa.Array:
    """Return a part of a column; raises `ValueError` for ids that are no text or whole numbers."""
    if role in ("user", "item"):
        check_ids(column.type, role)
    if role != "time":
        return column
    return times_of(column.cast(_kind(column.type)))


def check_ids(kind: pa.DataType, role: str) -> None:
    """Raise `ValueError` unless a column's type may be that of ids."""
    if not any(is_kind(_kind(kind)) for is_kind in ID_KINDS):
        raise ValueError(f"{role} ids must be text or whole numbers, but are {_kind(kind)}")


def _kind(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, which may be codes in the file."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind
