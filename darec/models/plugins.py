"""Models from outside darec: registered by a program, or offered by an installed package."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from darec.errors import UserError
from darec.models.kind import ModelKind
from darec.reporter import LOGGER

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
BROKEN: dict[str, str] = {}
"""Why installed models could not be loaded, by name."""


def add(name: str, kind: ModelKind, space: Any) -> None:
    """Add a model; it replaces an earlier one of the same name.

    Raises `UserError` if the name is not an identifier, or the kind is not a `ModelKind`.
    """
    if not name.isidentifier():
        rule = "must be letters, digits and '_' and not begin with a digit"
        raise UserError(f"a model's name {rule}, but got {name!r}")
    if not isinstance(kind, ModelKind):
        raise UserError(f"{name}: kind must be a darec.ModelKind, but got {kind!r}")
    if not all(hasattr(space, part) for part in ("space", "fixed", "start", "fix", "narrow")):
        raise UserError(f"{name}: space must be a darec.Space, but got {space!r}")
    OUTSIDE[name], SPACES[name] = kind, space


@cache
def load_installed(taken: frozenset[str]) -> None:
    """Add the models that installed packages name, once.

    A model that cannot be loaded, or whose name is one of those ``taken``, is left out with a
    warning: it must not stop a search of another model.
    """
    for point in entry_points(group=GROUP):
        place = f"entry point {point.name} = {point.value}"
        if point.name in OUTSIDE:
            continue
        try:
            if point.name in taken:
                raise UserError(f"{point.name!r} is a model of darec")
            add(point.name, *point.load())
        except Exception as error:  # whatever the package raises
            BROKEN[point.name] = f"{place}: this model could not be loaded: {error}"
            LOGGER.warning(BROKEN[point.name])
