"""The names of a report's entries, and the flat names of nested hyper-parameters.

Optuna's names are flat (``autorec/hidden``), configs are nested.
"""

from typing import Any

METRIC = "objective"
"""What searches minimise: the lowest validation error of a trial so far, by the search's metric."""
TIME = "epoch"
"""The entry that schedulers take as a trial's time."""
ROWS = "epochs"
"""The entry of a report that holds one row for every epoch since the last report."""


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"a/b": 1, "a": {"c": 2}}`` as ``{"a": {"b": 1, "c": 2}}``."""
    nested: dict[str, Any] = {}
    for name, value in flatten(flat).items():
        *parents, leaf = name.split("/")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return nested


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under ``/``-separated names."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
