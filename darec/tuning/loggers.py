"""Tune's own loggers, given a row per epoch: one report may hold many epochs."""

from typing import Any

from ray.tune.callback import Callback
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback
from ray.tune.result import SHOULD_CHECKPOINT, TRAINING_ITERATION

from darec.tuning.trainable import METRIC, ROWS, TIME

NOT_LOGGED = (ROWS, SHOULD_CHECKPOINT)


class _PerEpoch:
    """Splits a report into its epochs, numbered as Tune numbers its iterations."""

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Write each epoch of a report."""
        common = {name: value for name, value in result.items() if name not in NOT_LOGGED}
        for row in result[ROWS]:
            numbered = {**common, **row, TRAINING_ITERATION: row[TIME]}
            # a mixin: which logger comes next is known where it is mixed in
            super().log_trial_result(iteration, trial, numbered)  # type: ignore[misc]


class EpochCSV(_PerEpoch, CSVLoggerCallback):
    """``progress.csv``."""


class EpochJSON(_PerEpoch, JsonLoggerCallback):
    """``result.json``."""


class EpochTensorBoard(_PerEpoch, TBXLoggerCallback):
    """The event files behind ``tensorboard --logdir``."""

    def _try_log_hparams(self, trial: Any, result: dict[str, Any]) -> None:
        """Give the HParams tab one metric, the trial's best validation RMSE."""
        name = f"ray/tune/{METRIC}"
        super()._try_log_hparams(trial, {name: result[name]} if name in result else {})


class Forget(Callback):
    """Takes the epochs' rows out of what Tune keeps of each trial and saves in every snapshot."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Drop the rows, which the loggers before have written."""
        result.pop(ROWS, None)


def loggers() -> list[Callback]:
    """Return one of each; Tune then adds none of its own."""
    return [EpochCSV(), EpochJSON(), EpochTensorBoard(), Forget()]
