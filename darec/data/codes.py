"""Columns of a file as codes: each distinct text once, and where it stands.

Files are read a part at a time, so that the text of the whole file is never in memory.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

IDS = pa.dictionary(pa.int32(), pa.string())
"""The type of users, items and ratings; a rating is text at first, since it may be ``4,5``."""


def encoded(column: pa.Array) -> pa.Array:
    """Return a column of any type as codes of its distinct texts."""
    is_encoded = pa.types.is_dictionary(column.type)
    codes = column if is_encoded else column.dictionary_encode()
    return codes if codes.type == IDS else codes.cast(IDS)


def joined(parts: Iterable[Mapping[str, pa.Array]]) -> pa.Table:
    """Return the parts of a file as one table: all but its times as codes."""
    chunks: dict[str, list[pa.Array]] = {}
    for part in parts:
        for role, column in part.items():
            chunks.setdefault(role, []).append(column if role == "time" else encoded(column))
    return pa.table({role: pa.chunked_array(each, each[0].type) for role, each in chunks.items()})


def times_of(column: pa.Array) -> pa.Array:
    """Return a column of times as seconds since 1970 if its type says so, else as it is.

    Numbers stay numbers, whose unit their size tells, and everything else becomes text.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return pc.divide(micros.cast(pa.float64()), 1e6)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.cast(pa.float64(), safe=False)  # nanoseconds have more digits
    return column.cast(pa.string())
