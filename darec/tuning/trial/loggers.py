"""Tune's own loggers, with one row per epoch although a report may hold several epochs."""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.callback import Callback
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback
from ray.tune.result import SHOULD_CHECKPOINT, TIME_TOTAL_S, TRAINING_ITERATION

from darec.tuning.private import ChosenScalars
from darec.tuning.trial.names import METRIC, ROWS, TIME

TAGS = {
    "valid_rmse": "valid/rmse",
    "best_valid_rmse": "best/valid_rmse",
    "stage1_valid_rmse": "valid/stage1_rmse",
    "valid_rmse_source": "valid/source_rmse",
    METRIC: "valid/objective",
    "domain_accuracy": "domain/accuracy",
    TIME_TOTAL_S: "time/total_s",
}
"""Where TensorBoard shows entries of a result."""
GROUPS = {"loss_": "loss", "grad_norm_": "grad"}
"""The same for all entries whose names begin so."""
NOT_LOGGED = (ROWS, SHOULD_CHECKPOINT)


class PerEpoch:
    """Splits a report into its epochs and numbers them as Tune numbers its iterations."""

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Write each epoch of a report."""
        common = {name: value for name, value in result.items() if name not in NOT_LOGGED}
        for row in result[ROWS]:
            numbered = {**common, **row, TRAINING_ITERATION: row[TIME]}
            # A mixin does not know which logger it is mixed into.
            super().log_trial_result(iteration, trial, numbered)  # type: ignore[misc]


class EpochCSV(PerEpoch, CSVLoggerCallback):
    """Writes ``progress.csv``."""


class EpochJSON(PerEpoch, JsonLoggerCallback):
    """Writes ``result.json``."""


class EpochTensorBoard(PerEpoch, ChosenScalars):
    """Writes the event files that ``tensorboard --logdir`` reads, with curves in groups.

    The HParams tab shows the RMSE of each trial's best epoch first, since its columns of metrics
    are sorted by name.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def hparams_of(self, trial: Any) -> dict[str, Any]:
        """Return the model, and the hyper-parameters that were drawn."""
        return {"model": self._model, **super().hparams_of(trial)}

    def scalars(self, result: Mapping[str, Any]) -> dict[str, float]:
        """Return the curves of an epoch."""
        return curves_of(result)


def curves_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers of an epoch that make a curve, by group and name."""
    tags = {name: tag_of(name) for name in result}
    return {
        tag: float(result[name])
        for name, tag in tags.items()
        if tag and isinstance(result[name], int | float) and math.isfinite(result[name])
    }


def tag_of(name: str) -> str:
    """Return under which group and name TensorBoard shows an entry; empty if it is not shown."""
    for prefix, group in GROUPS.items():
        if name.startswith(prefix):
            return f"{group}/{name.removeprefix(prefix)}"
    return TAGS.get(name, "")


class ForgetRows(Callback):
    """Removes the epochs' rows from what Tune keeps of each trial and saves in every snapshot."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Remove the rows; the loggers before this callback have written them."""
        result.pop(ROWS, None)


def loggers(model: str) -> list[Callback]:
    """Return all loggers of a study of a model; Tune then adds none of its own."""
    return [EpochCSV(), EpochJSON(), EpochTensorBoard(model), ForgetRows()]
