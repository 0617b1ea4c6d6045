"""Experiment trackers: a run for each trial, by Ray's own callbacks for MLflow and W&B.

The libraries are extras (``darec[mlflow]``, ``darec[wandb]``).
"""

from typing import Any
from uuid import uuid4

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.callback import Callback
from ray.tune.result import TRAINING_ITERATION

from darec.tuning.trial.loggers import PerEpoch
from darec.tuning.trial.names import Tracker
from darec.tuning.trial.tensorboard import curves_of


class _Curves:
    """Gives a tracker the curves that TensorBoard shows, under the same names."""

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Log the curves of one epoch."""
        kept = {TRAINING_ITERATION: result[TRAINING_ITERATION], **curves_of(result)}
        # A mixin does not know which logger it is mixed into.
        super().log_trial_result(iteration, trial, kept)  # type: ignore[misc]


class EpochMLflow(PerEpoch, _Curves, MLflowLoggerCallback):
    """Logs to ``MLFLOW_TRACKING_URI``, by default ``mlflow.db`` in the current folder."""


class EpochWandb(PerEpoch, _Curves, WandbLoggerCallback):
    """Logs to Weights & Biases; ``WANDB_MODE=offline`` writes files instead."""

    def log_trial_start(self, trial: Any) -> None:
        """Begin a run under an id of its own: trials of all searches have the same ids."""
        self.kwargs["id"] = uuid4().hex
        super().log_trial_start(trial)


def tracker_of(tracker: Tracker, study: str) -> Callback:
    """Return the callback of a tracker.

    ``study`` names the experiment in MLflow, and the group in the project ``darec`` of W&B.
    """
    if tracker == "mlflow":
        return EpochMLflow(experiment_name=study)
    return EpochWandb(project="darec", group=study)
