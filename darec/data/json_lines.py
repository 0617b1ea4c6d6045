"""Read a file of JSON lines, one rating or review a line, as Amazon and Yelp publish them."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.json as pajson

from darec.data.codes import joined, times_of
from darec.data.columns import Columns, columns_sentence, required_columns, shown
from darec.data.lines import LONGEST_ROW, read_text
from darec.data.text import DAMAGED, damaged, no_ratings, open_utf8
from darec.errors import UserError

SAMPLE_LINES = 200
"""The number of lines that show the fields."""
BLOCK = 4 * LONGEST_ROW
AT_ONCE = 16 * BLOCK
"""Bytes of lines that are in memory at once, 64 MiB."""
KINDS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def looks_like_json(beginning: bytes) -> bool:
    """Return whether a file begins as JSON does."""
    return beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[{", b"[\n", b"[ ", b"[\r"))


def read_json_lines(path: Path, columns: Columns | None, encoding: str | None) -> tuple[Any, str]:
    """Return the fields of a file by their roles as a table, and which field is what.

    Raises `UserError` for a line that is no JSON object, or has no user, item or rating.
    """
    first = list(islice(_objects(path, encoding), SAMPLE_LINES))
    if not first:
        raise no_ratings(path)
    header = list(dict.fromkeys(name for _, found in first for name in found))
    try:
        positions = required_columns(header, columns)
    except ValueError as error:
        raise UserError(f"{path}, line {first[0][0]}: {error}") from error
    fields = {role: header[n] for role, n in positions.items()}
    kinds = {name: _kind([found.get(name) for _, found in first]) for name in fields.values()}
    for role in ("user", "item"):
        if kinds[fields[role]] == pa.float64():
            kinds[fields[role]] = None  # 1.0 and 1 are different ids
    sentence = columns_sentence(path, header, positions)
    return _fast(path, fields, kinds, encoding) or _slow(path, fields, encoding), sentence


def _kind(values: Sequence[object]) -> pa.DataType | None:
    """Return the type of a field by its first values; None if they are of several types."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.float64()
    return KINDS.get(kinds.pop()) if len(kinds) == 1 else None


def _objects(path: Path, encoding: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the object of every line that is not empty."""
    for number, line in read_text(path, encoding):
        if line.strip():
            yield number, _object(path, number, line)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return a line's object; raises `UserError` for another line."""
    where = f"{path}, line {number}"
    if line.strip() == "{":
        rule = "this is one JSON object over several lines"
        raise UserError(f"{where}: {rule}; jq -c . FILE > FILE.jsonl makes a line of each")
    if line.lstrip().startswith("["):
        rule = "this is one JSON list, not an object a line"
        raise UserError(f"{where}: {rule}; jq -c '.[]' FILE > FILE.jsonl makes lines of it")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        rule = f"must be a JSON object on one line ({str(error)[:60]})"
        raise UserError(f"{where}: {rule}, but got {shown(line.rstrip())}") from error
    if not isinstance(found, dict):
        raise UserError(f"{where}: must be a JSON object, but got {shown(line.rstrip())}")
    return found


def _fast(
    path: Path, fields: dict[str, str], kinds: dict[str, pa.DataType | None], encoding: str | None
) -> pa.Table | None:
    """Return the table by pyarrow, or None where a field is not of one type throughout."""
    if None in kinds.values():
        return None
    with open_utf8(path, encoding) as stream:
        try:
            return joined(_parts(stream, fields, kinds))
        except pa.ArrowException:
            return None
        except DAMAGED as error:
            raise damaged(path, error) from error


def _parts(
    stream: IO[bytes], fields: dict[str, str], kinds: dict[str, pa.DataType | None]
) -> Iterator[dict[str, pa.Array]]:
    """Yield the fields by their roles, those of about `AT_ONCE` bytes of lines at a time."""
    schema = pa.schema(kinds)
    while lines := stream.read(AT_ONCE):
        lines += stream.readline()
        if not lines.strip():
            continue
        table = pajson.read_json(
            pa.BufferReader(lines),
            read_options=pajson.ReadOptions(block_size=BLOCK),
            parse_options=pajson.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
        table.validate(full=True)
        for part in table.to_batches():
            yield {
                role: times_of(part[name]) if role == "time" else part[name]
                for role, name in fields.items()
            }


def _slow(path: Path, fields: dict[str, str], encoding: str | None) -> pa.Table:
    """Return the table line by line: values of any type, and the line of a fault."""
    columns: dict[str, list[str | None]] = {role: [] for role in fields}
    for number, found in _objects(path, encoding):
        for role, name in fields.items():
            value = found.get(name)
            if isinstance(value, dict | list):
                rule = f"field {name}: must be a number or text"
                raise UserError(f"{path}, line {number}, {rule}, but got {shown(value)}")
            text = None if value is None else str(value)
            if text is not None and any("\ud800" <= each <= "\udfff" for each in text):
                raise UserError(f"{path}, line {number}, field {name}: must be text of Unicode")
            columns[role].append(text)
    return pa.table({role: pa.array(values, pa.string()) for role, values in columns.items()})


def line_of_object(path: Path, encoding: str | None, row: int) -> int:
    """Return the number of the line of an object, counted from 0."""
    filled = (number for number, line in read_text(path, encoding) if line.strip())
    return next(islice(filled, row, None))
