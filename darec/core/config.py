"""Hyper-parameters as frozen dataclasses: read strictly from, and written to, plain JSON values."""

import types
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def parse(cls: type[T], values: dict[str, Any]) -> T:
    """Build a config from nested plain values.

    Raises ``ValueError`` naming the field, rule and value for an unknown or missing field, a wrong
    type or an unlisted choice; a config's own ``__post_init__`` checks ranges.
    """
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        known = ", ".join(hints)
        raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}; it has: {known}")
    return cls(**{name: _value(cls, name, hints[name], value) for name, value in values.items()})


def plain(config: Any) -> dict[str, Any]:
    """Return a config as nested JSON values; `parse` reads it back."""
    return asdict(config)


def check_range(config: Any, **rules: tuple[float, float]) -> None:
    """Raise ``ValueError`` when a field of a config lies outside its closed range."""
    for name, (low, high) in rules.items():
        value = getattr(config, name)
        if not low <= value <= high:
            owner = type(config).__name__
            raise ValueError(f"{owner}.{name} must lie in [{low}, {high}], but got {value}")


def _value(cls: type, name: str, hint: Any, value: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        hint = next(arg for arg in args if arg is not type(None))
        origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in args:
            raise ValueError(f"{cls.__name__}.{name} must be one of {args}, but got {value!r}")
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        return parse(hint, value) if isinstance(value, dict) else value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) != (hint is bool) or not isinstance(value, hint):
        kind = hint.__name__
        raise ValueError(f"{cls.__name__}.{name} must be of type {kind}, but got {value!r}")
    return value


def field_names(cls: type) -> list[str]:
    """Return a config's field names in order."""
    return [field.name for field in fields(cls)]
