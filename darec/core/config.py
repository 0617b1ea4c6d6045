"""Hyper-parameters as frozen dataclasses, read strictly from plain JSON values.

A model's config is a pydantic dataclass with the settings `STRICT`; the type of a field states its
range, and the text below a field becomes its description in `json_schema`. A frozen dataclass of
the standard library works as well:

    >>> @dataclass(frozen=True)
    ... class TopItems:
    ...     count: int = 10
    >>> parse(TopItems, {"count": 3})
    TopItems(count=3)
"""

import copyreg
import json
from dataclasses import MISSING, asdict, fields
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from darec.parsing import problem

T = TypeVar("T")
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""Unknown fields are errors, True is not 1, 2.0 is not an int, and an int is a valid float."""

# cloudpickle 3.1 pickles a script's dataclass by value and copies `MISSING`, the mark of "no
# default", which pydantic compares by identity. This pickles it by its name instead.
copyreg.pickle(type(MISSING), lambda _: "MISSING")

Size = Annotated[int, Field(ge=1, le=10**5)]
"""A number of units."""
BatchSize = Annotated[int, Field(ge=1, le=10**7)]
"""Rows or ratings of a mini-batch."""
LearningRate = Annotated[float, Field(ge=1e-12, le=10)]
"""An optimizer's step size."""


def parse(cls: type[T], values: dict[str, Any]) -> T:
    """Build a config from nested JSON values.

    Raises ``ValueError`` with one line that names the class, the field, the rule and the value: for
    an unknown or missing field, a wrong type, a value outside its range, or a rule of the class.
    """
    try:
        text = json.dumps(values)
    except TypeError as error:
        raise ValueError(f"{cls.__name__} must be built from JSON values: {error}") from error
    try:
        return TypeAdapter(cls).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise ValueError(problem(error, cls.__name__, field_names(cls))) from error


def plain(config: Any) -> dict[str, Any]:
    """Return a config as nested JSON values, which `parse` reads back."""
    return asdict(config)


def json_schema(cls: type) -> dict[str, Any]:
    """Return the JSON schema of a config class: fields, types, ranges, defaults, descriptions."""
    return TypeAdapter(cls).json_schema()


def field_names(cls: type) -> list[str]:
    """Return a config's field names in order."""
    return [field.name for field in fields(cls)]
