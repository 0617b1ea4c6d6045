"""Decides which checkpoints stay on disk while a search runs.

The checkpoints of running and failed trials stay, and those of the best trials that have ended.
"""

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment.trial import Trial

from darec.reporter import LOGGER
from darec.tuning.private import CHECKPOINT_FOLDER
from darec.tuning.storage import listed
from darec.tuning.trial.names import METRIC
from darec.tuning.trial.predictions import keep_predictions
from darec.tuning.trial.trainable import SNAPSHOT_S

SNAPSHOT_AGE_S, SNAPSHOT_PERIODS = 120.0, 40
"""An ended trial's checkpoints are kept for this many seconds, or for this many times the cost of a
snapshot if that is longer. A search that is resumed from an older snapshot needs them."""
KEPT = 3
"""So many best trials of a study keep their weights, as possible members of a stack."""
AT_ONCE = 20
"""Most trials whose checkpoints are deleted in one go, since the driver waits for it."""


class KeepTheBest(tune.Callback):
    """Deletes an ended trial's checkpoints after a while, unless it is one of the best by then."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._ended_at: dict[str, float] = {}
        self._deleted: set[str] = set()

    def setup(self, **info: Any) -> None:
        """Begin a run: trials that ended in an earlier run count as ended now."""
        self._ended_at = {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Delete the checkpoints of trials that ended long ago and are not among the best."""
        now = time.monotonic()
        age = max(SNAPSHOT_AGE_S, SNAPSHOT_PERIODS * SNAPSHOT_S * len(trials))
        old = [
            each
            for each in trials
            if each.status == Trial.TERMINATED
            and each.checkpoint is not None
            and each.trial_id not in self._deleted
            and now - self._ended_at.setdefault(each.trial_id, now) >= age
        ]
        for each in sorted(old, key=_objective)[self._kept :][:AT_ONCE]:
            self._deleted.add(each.trial_id)
            LOGGER.debug("trial %s: its checkpoints are deleted", each.trial_id)
            keep_predictions(each.checkpoint)
            delete_checkpoints(each.checkpoint)


def _objective(trial: Any) -> float:
    return float(trial.last_result.get(METRIC, math.inf))


def delete_checkpoints(checkpoint: tune.Checkpoint | None) -> None:
    """Delete all checkpoints of the trial that this one belongs to; ignore errors of the disk."""
    if checkpoint is None:
        return
    with suppress(OSError):
        for found in listed(checkpoint.filesystem, str(Path(checkpoint.path).parent)):
            if found.base_name.startswith(CHECKPOINT_FOLDER):
                checkpoint.filesystem.delete_dir(found.path)
