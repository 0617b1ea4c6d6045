"""Writes what TensorBoard shows of each trial: its curves, and its hyper-parameters."""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.logger import TBXLoggerCallback
from ray.tune.result import TIME_TOTAL_S, TRAINING_ITERATION

from darec.tuning.private import close_events
from darec.tuning.trial.names import METRIC

TAGS = {
    "valid_rmse": "valid/rmse",
    "best_valid_rmse": "best/valid_rmse",
    "stage1_valid_rmse": "valid/stage1_rmse",
    "valid_rmse_source": "valid/source_rmse",
    METRIC: "valid/objective",
    "domain_accuracy": "domain/accuracy",
    TIME_TOTAL_S: "time/total_s",
}
"""Where TensorBoard shows entries of a result. Its HParams tab sorts metrics by name, so that the
RMSE of each trial's best epoch comes first."""
GROUPS = {"loss_": "loss", "grad_norm_": "grad"}
"""The same for all entries whose names begin so."""


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


class TensorBoard(TBXLoggerCallback):
    """Takes the place of Tune's own logger for TensorBoard, which would be added otherwise."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self._writers: dict[Any, Any] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Open a file in a trial's folder, and close one that is open."""
        from tensorboardX import SummaryWriter  # its import takes seconds

        self._close(trial)
        trial.init_local_path()
        self._writers[trial] = SummaryWriter(trial.local_path, flush_secs=30)

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Write the curves of a result; its step is Tune's iteration."""
        if trial not in self._writers:
            self.log_trial_start(trial)
        writer = self._writers[trial]
        for tag, value in curves_of(result).items():
            writer.add_scalar(tag, value, global_step=result[TRAINING_ITERATION])
        writer.flush()

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Write a trial's hyper-parameters, without an HParams experiment summary; close its file.

        TensorBoard would use the first experiment summary in a folder for all trials below it.
        Without one, it collects the hyper-parameters and metrics of all trials, of any model.
        """
        if trial in self._writers:
            from tensorboardX.summary import hparams

            _, *begin_and_end = hparams({"model": self._model, **trial.evaluated_params}, {})
            for summary in begin_and_end:
                self._writers[trial].file_writer.add_summary(summary)
            self._close(trial)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close the files of trials that have not ended. On a full disk their last events are lost.

        tensorboardX would close them with the process, and print a traceback for each then.
        """
        for trial in list(self._writers):
            self._close(trial)

    def _close(self, trial: Any) -> None:
        if writer := self._writers.pop(trial, None):
            close_events(writer)
