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
    """Return the parts of a file as one table, whose times are numbers or text.

    Times may be numbers in some parts and text in others; then all are text.
    """
    chunks: dict[str, list[pa.Array]] = {}
    for part in parts:
        for role, column in part.items():
            chunks.setdefault(role, []).append(column if role == "time" else encoded(column))
    types = {role: IDS for role in chunks}
    if "time" in chunks:
        kinds = {column.type for column in chunks["time"]}
        types["time"] = kinds.pop() if len(kinds) == 1 else pa.string()
        chunks["time"] = [column.cast(types["time"]) for column in chunks["time"]]
    return pa.table({role: pa.chunked_array(chunks[role], types[role]) for role in chunks})


def times_of(column: pa.Array) -> pa.Array:
    """Return a column of times as seconds since 1970 if its type says so, else as it is.

    Numbers stay numbers, whose unit their size tells, and everything else becomes text.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return pc.divide(micros.cast(pa.float64()), 1e6)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.cast(pa.float64())
    return column.cast(pa.string())
