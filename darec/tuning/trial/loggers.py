"""Tune's own loggers, with one row per epoch although a report may hold several epochs."""

from typing import Any

from ray.tune.callback import Callback
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback
from ray.tune.result import SHOULD_CHECKPOINT, TRAINING_ITERATION

from darec.tuning.trial.names import ROWS, TIME, Tracker
from darec.tuning.trial.tensorboard import TensorBoard
from darec.tuning.trial.tracking import Tracking

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


class EpochTensorBoard(PerEpoch, TensorBoard):
    """Writes the event files that ``tensorboard --logdir`` reads."""


class ForgetRows(Callback):
    """Removes the epochs' rows from what Tune keeps of each trial and saves in every snapshot."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Remove the rows; the loggers before this callback have written them."""
        result.pop(ROWS, None)


def loggers(model: str, study: str = "", tracker: Tracker | None = None) -> list[Callback]:
    """Return all loggers of a study of a model; Tune then adds none of its own.

    ``study`` is what a tracker calls it.
    """
    tracking = Tracking(study, tracker)
    return [EpochCSV(), EpochJSON(), EpochTensorBoard(model), tracking, ForgetRows()]
