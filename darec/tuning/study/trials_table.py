"""``trials.csv``, the table of a finished study's trials, as it is read again."""

from pathlib import Path

import numpy as np
import pandas as pd

from darec.errors import UserError
from darec.models.best import REMEDY, Best
from darec.tuning.trial.names import METRIC

COLUMNS = (
    *("trial_id", "ended", "failures", "seconds", "epochs", "best_epoch", "best_valid_rmse"),
    "at_edge",
)
"""The first columns of ``trials.csv``. Those of `COST`, `REJUDGED` and the metric may follow, then
one for each hyper-parameter."""
COST = ("cpu_s", "gpu_s")
"""The columns of what a trial cost, in seconds of CPUs and of GPUs, repeated epochs included."""
REJUDGED = "rejudged_rmse"
"""The column of `TrialRow.rejudged_rmse`, which decides the order if it is there."""
TEXTS = ("trial_id", "failures", "at_edge")
"""Columns that are text, even if they are empty or look like a number."""


def read_trials(folder: Path, best: Best, place: str) -> pd.DataFrame:
    """Return one row per trial, best first; ``place`` is the folder as the user names it.

    Raises `UserError` if the table is damaged, or its first row is not the winner of ``best.json``.
    """
    named = f"{place}/trials.csv"
    try:
        table = pd.read_csv(folder / "trials.csv", dtype=dict.fromkeys(TEXTS, "str"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise UserError(f"{named}: cannot be read: {reason}; {REMEDY}") from error
    wanted_columns = COLUMNS if best.metric == "rmse" else (*COLUMNS, METRIC)
    if missing := [name for name in wanted_columns if name not in table]:
        raise UserError(f"{named}: it lacks the columns {', '.join(missing)}; {REMEDY}")
    if len(table) != best.trials:
        message = f"must have {best.trials} trials as in best.json, but has {len(table)}"
        raise UserError(f"{named}: {message}; {REMEDY}")
    first = table.iloc[0]
    wanted = {"trial_id": best.trial_id, "best_epoch": best.epoch}
    for column, value in {**wanted, "best_valid_rmse": best.valid_rmse}.items():
        found = first[column]
        equal = np.isclose(found, value, rtol=1e-12) if isinstance(value, float) else found == value
        if not equal:
            message = f"{column} must begin with {value} as in best.json, but begins with {found}"
            raise UserError(f"{named}: {message}; {REMEDY}")
    return table.assign(**{name: table[name].fillna("") for name in TEXTS})
