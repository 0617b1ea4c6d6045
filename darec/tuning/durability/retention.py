"""Decides which checkpoints stay on disk while a search runs.

Running and failed trials keep their checkpoints. A trial that has ended keeps none, or its last one
if it is among the best, as soon as a search that is resumed would not need them any more.
"""

import math
from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment.trial import Trial

from darec.reporter import LOGGER
from darec.tuning.durability.snapshot import CopySnapshots
from darec.tuning.private import CHECKPOINT_FOLDER
from darec.tuning.storage import listed
from darec.tuning.trial.names import METRIC
from darec.tuning.trial.predictions import keep_predictions

KEPT = 3
"""The number of best trials whose weights a study keeps, as possible members of a stack."""
AT_ONCE = 20
"""Most trials whose checkpoints are deleted in one go, since the driver waits for it."""


def kept_trials(rejudge: int) -> int:
    """Return how many of the best trials of a study keep their last checkpoint."""
    return max(KEPT, rejudge)


def kept_of(variants: Sequence[Hashable], count: int = KEPT) -> list[int]:
    """Return which trials keep their weights: the best ones, and the best one of each variant.

    ``variants`` has the variant of each trial, that of the best trial first.
    """
    first_of = {variant: n for n, variant in reversed(list(enumerate(variants)))}
    return sorted({*range(min(count, len(variants))), *first_of.values()})


class KeepTheBest(tune.Callback):
    """Deletes checkpoints of trials that have ended and that no snapshot needs.

    ``variant`` is the model's hyper-parameter of `kept_of`, if it has one.
    """

    def __init__(
        self, snapshots: CopySnapshots, kept: int = KEPT, variant: str | None = None
    ) -> None:
        self._snapshots, self._kept, self._variant = snapshots, kept, variant
        self._thinned: set[str] = set()
        self._deleted: set[str] = set()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Delete what became superfluous before this trial's end."""
        self._delete(trials, AT_ONCE)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Delete all that is superfluous once the last snapshot is copied."""
        self._snapshots.copy()
        self._delete(trials, len(trials))

    def _delete(self, trials: list[Any], most: int) -> None:
        needed = self._snapshots.needed_by_copy
        if needed is None:
            return
        ended = [
            each
            for each in trials
            if each.status == Trial.TERMINATED
            and each.checkpoint is not None
            and each.trial_id not in self._deleted
            and each.trial_id not in needed
        ]
        ended.sort(key=_objective)
        variants = [each.config.get(self._variant) for each in ended]
        kept = kept_of(variants, self._kept)
        for each in (ended[n] for n in kept):
            if each.trial_id not in self._thinned:
                self._thinned.add(each.trial_id)
                delete_checkpoints(each.checkpoint, but_this=True)
        for each in [each for n, each in enumerate(ended) if n not in kept][:most]:
            try:
                keep_predictions(each.checkpoint)
            except OSError as error:  # tried again when the next trial ends
                LOGGER.debug("trial %s: its predictions are not kept: %s", each.trial_id, error)
                continue
            self._deleted.add(each.trial_id)
            LOGGER.debug("trial %s: its checkpoints are deleted", each.trial_id)
            delete_checkpoints(each.checkpoint)


def _objective(trial: Any) -> float:
    return float(trial.last_result.get(METRIC, math.inf))


def delete_checkpoints(checkpoint: tune.Checkpoint | None, but_this: bool = False) -> None:
    """Delete all checkpoints of the trial that this one belongs to, with or without this one.

    Errors of the disk are ignored.
    """
    if checkpoint is None:
        return
    kept = Path(checkpoint.path).name if but_this else ""
    with suppress(OSError):
        for found in listed(checkpoint.filesystem, str(Path(checkpoint.path).parent)):
            if found.base_name.startswith(CHECKPOINT_FOLDER) and found.base_name != kept:
                checkpoint.filesystem.delete_dir(found.path)
