"""Read a Parquet file's columns of users, items, ratings and times."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from darec.data.columns import Columns, required_columns, told
from darec.errors import UserError

ID_KINDS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer),
    *(pa.types.is_binary, pa.types.is_large_binary),
)


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
            table = file.read([header[n] for n in found.values()])
        read = {role: _text(table[header[n]], role) for role, n in found.items()}
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: must be a whole Parquet file: {str(error)[:100]}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return pa.table(read), told(path, header, found)


def _text(column: pa.ChunkedArray, role: str) -> pa.ChunkedArray:
    """Return a column as text; times become seconds since 1970.

    Raises `ValueError` for ids that are no text or whole numbers.
    """
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if role == "time" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return pc.divide(micros.cast(pa.float64()), 1e6).cast(pa.string())
    if role in ("user", "item") and not any(is_kind(kind) for is_kind in ID_KINDS):
        raise ValueError(f"{role} ids must be text or whole numbers, but are {kind}")
    return column.cast(pa.string())
