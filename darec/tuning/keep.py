"""Which checkpoints stay: those of trials that run or failed, and of the best that ended."""

from pathlib import Path
from typing import Any

from pyarrow.fs import FileSelector
from ray import tune
from ray.tune.experiment.trial import Trial

from darec.tuning.trainable import METRIC


class KeepTheBest(tune.Callback):
    """Deletes a trial's checkpoints once it has ended and another that ended is better.

    A search's checkpoints then take what the trials that run at once do, however many end.
    """

    def __init__(self) -> None:
        self._ended: list[Any] = []
        """Trials that have checkpoints yet; after a restart, those that ended since."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at those that ended before; this one writes its last checkpoint after this call."""
        written = [each for each in self._ended if each.status == Trial.TERMINATED]
        if written:
            best = min(each.last_result[METRIC] for each in written)
            for each in written:
                if each.last_result[METRIC] > best:
                    self._ended.remove(each)
                    drop_checkpoints(each.checkpoint)
        self._ended.append(trial)


def drop_checkpoints(checkpoint: tune.Checkpoint | None) -> None:
    """Delete all checkpoints of the trial that one is of."""
    if checkpoint is None:
        return
    files = checkpoint.filesystem
    for found in files.get_file_info(FileSelector(str(Path(checkpoint.path).parent))):
        if found.base_name.startswith("checkpoint_"):
            files.delete_dir(found.path)
