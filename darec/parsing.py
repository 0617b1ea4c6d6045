"""Read what is on disk strictly as the type that the program expects of it.

Files may be damaged, edited, or of another version. `read_json` and `parse_json` let pydantic check
them against a dataclass: unknown and missing fields, types, and the ranges that the types state.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from darec.errors import UserError

T = TypeVar("T")
LONGEST = 100
"""Most characters of a wrong value that a message shows."""


def read_json(path: Path, kind: type[T], place: str | None = None, remedy: str = "") -> T:
    """Return the content of a JSON file as a value of a type, a dataclass for example.

    ``place`` is how the user names the file, if that is another: its URI. Raises `UserError` with
    one line that names the file, the field, the rule and the value, and ends with the ``remedy``.
    """
    named = place or str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{named}: cannot be read: {_joined(error.strerror, remedy)}") from error
    return parse_json(content, kind, named, remedy)


def parse_json(content: str | bytes, kind: type[T], place: str, remedy: str = "") -> T:
    """Return JSON as a value of a type; ``place`` is its file, or the file and the line.

    Raises `UserError` like `read_json`, also for a number that is not finite (NaN, 1e999).
    """
    try:
        plain = from_json(content)
        value: T = _adapter(cast(Any, kind)).validate_json(content, strict=True, extra="forbid")
        json.dumps(plain, allow_nan=False)
    except ValidationError as error:
        raise UserError(f"{place}: {_joined(problem(error), remedy)}") from error
    except ValueError as error:
        raise UserError(f"{place}: is not JSON: {_joined(error, remedy)}") from error
    return value


def _joined(*parts: object) -> str:
    return "; ".join(str(part) for part in parts if part)


def problem(error: ValidationError, owner: str = "", known: Sequence[str] = ()) -> str:
    """Return the first problem that pydantic found, as one line.

    ``owner`` is put before the field, and ``known`` are the owner's fields, which are listed after
    one that it does not have.
    """
    first: Any = error.errors()[0]
    *parents, field = [owner, *map(str, first["loc"])]
    within = ".".join(filter(None, parents))
    where = ".".join(filter(None, [within, field]))
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        message = f"; it has: {', '.join(known)}" if known and within == owner else ""
        return f"{within} has no field {field!r}{message}".strip()
    if first["type"] == "value_error":
        return ": ".join(filter(None, [where, str(first["ctx"]["error"])]))
    rule, value = re.sub(r"^\w+ should", "must", first["msg"]), repr(first["input"])
    shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
    return f"{where} {rule}, but got {shown}".strip()


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
