"""Models from outside darec: registered by a program, or offered by an installed package."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from darec.errors import UserError
from darec.models.kind import ModelKind

GROUP = "darec.models"
"""An installed package adds models under this entry-point group. In its ``pyproject.toml``::

    [project.entry-points."darec.models"]
    my_model = "my_package:MY_MODEL"

where ``MY_MODEL`` is a pair of a `ModelKind` and its search space.
"""
OUTSIDE: dict[str, ModelKind] = {}
"""Models from outside the package, by name."""
SPACES: dict[str, Any] = {}
"""Their search spaces, by name."""


def add(name: str, kind: ModelKind, space: Any) -> None:
    """Add a model; it replaces an earlier one of the same name.

    Raises `UserError` if the name is not an identifier, or the kind is not a `ModelKind`.
    """
    if not name.isidentifier():
        rule = "must be letters, digits and '_' and not begin with a digit"
        raise UserError(f"a model's name {rule}, but got {name!r}")
    if not isinstance(kind, ModelKind):
        raise UserError(f"{name}: kind must be a darec.ModelKind, but got {kind!r}")
    OUTSIDE[name], SPACES[name] = kind, space


@cache
def load_installed() -> None:
    """Add the models that installed packages offer; raises `UserError` if one cannot be loaded."""
    for point in entry_points(group=GROUP):
        try:
            kind, space = point.load()
        except Exception as error:
            place = f"entry point {point.name} = {point.value}"
            raise UserError(f"{place}: a model could not be loaded: {error}") from error
        if point.name not in OUTSIDE:
            add(point.name, kind, space)
