"""Which checkpoints stay: those of trials that run or failed, and of the best that ended."""

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSelector
from ray import tune
from ray.tune.experiment.trial import Trial

from darec.tuning.trainable import METRIC, SNAPSHOT_S

KNOWN_S, PERIODS = 120.0, 40
"""Seconds after which every snapshot knows of a trial's end, or two of Tune's periods where those
are longer: it goes on from a checkpoint that is gone as long as one does not."""
AT_ONCE = 20
"""Trials whose checkpoints are deleted in one go: meanwhile the driver does nothing else."""


class KeepTheBest(tune.Callback):
    """Deletes a trial's checkpoints some time after its end, unless it is the best by then."""

    def __init__(self) -> None:
        self._ended: dict[str, float] = {}
        self._dropped: set[str] = set()

    def setup(self, **info: Any) -> None:
        """Begin a run of the search: what ended in those before counts as ended now."""
        self._ended = {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at the trials that ended long enough before this one."""
        now, long = time.monotonic(), max(KNOWN_S, PERIODS * SNAPSHOT_S * len(trials))
        old = [
            each
            for each in trials
            if each.status == Trial.TERMINATED
            and each.checkpoint is not None
            and each.trial_id not in self._dropped
            and now - self._ended.setdefault(each.trial_id, now) >= long
        ]
        best = min(map(_best_rmse, old), default=math.inf)
        for each in [each for each in old if _best_rmse(each) > best][:AT_ONCE]:
            self._dropped.add(each.trial_id)
            drop_checkpoints(each.checkpoint)


def _best_rmse(trial: Any) -> float:
    return float(trial.last_result.get(METRIC, math.inf))


def drop_checkpoints(checkpoint: tune.Checkpoint | None) -> None:
    """Delete all checkpoints of the trial that one is of, as far as that is possible."""
    if checkpoint is None:
        return
    files, folder = checkpoint.filesystem, str(Path(checkpoint.path).parent)
    with suppress(OSError):
        for found in files.get_file_info(FileSelector(folder, allow_not_found=True)):
            if found.base_name.startswith("checkpoint_"):
                files.delete_dir(found.path)
