"""The names of a report's entries, of trials' folders and of nested hyper-parameters.

Optuna's names are flat (``autorec/hidden``), configs are nested.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

METRIC = "objective"
"""What searches minimise: the lowest validation error of a trial so far, by the search's metric."""
TIME = "epoch"
"""The entry that schedulers take as a trial's time."""
ROWS = "epochs"
"""The entry of a report that holds one row for every epoch since the last report."""

Tracker = Literal["mlflow", "wandb"]
"""Where each trial's curves go, too (`darec.tuning.trial.trackers`)."""
IN_FOLDER_NAME = 3
"""Number of hyper-parameters in the name of a trial's folder, which TensorBoard shows."""


def trial_folder(trial_id: str, drawn: Mapping[str, Any]) -> str:
    """Return the name of a trial's folder, with its first hyper-parameters.

    >>> trial_folder("0007", {"autorec/hidden": 300, "autorec/lr": 0.00123, "activation": "tanh"})
    '0007_hidden=300_lr=0.0012_activation=tanh'
    """
    words = [trial_id]
    for name, value in islice(drawn.items(), IN_FOLDER_NAME):
        shown = f"{value:.2g}" if isinstance(value, float) else f"{value}"
        words.append(f"{name.rpartition('/')[2]}={shown}")
    return re.sub(r"[^\w.=+-]", "-", "_".join(words))


def trial_id_of(folder_name: str) -> str:
    """Return the id of the trial that a folder belongs to."""
    return folder_name.partition("_")[0]


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


def key_of(flat: Mapping[str, Any]) -> str:
    """Return a text that is the same for equal hyper-parameters."""
    return repr(sorted(flat.items()))


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under ``/``-separated names."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat
