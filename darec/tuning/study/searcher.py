"""Optuna as Tune's search algorithm, made safe against bad metrics and against resuming."""

import math
from pathlib import Path
from typing import Any

import optuna
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

from darec.core.threads import one_torch_thread
from darec.tuning.private import (
    LIMIT_KEY,
    is_open,
    optuna_study_of,
    pickled,
    tell_failed,
    unpickle_into,
)
from darec.tuning.study.flat import Flat


def empty_space(trial: optuna.Trial) -> None:
    """Draw nothing. This is the search space of a model without hyper-parameters."""


class SafeOptunaSearch(OptunaSearch):
    """OptunaSearch that accepts only finite metrics, and each trial's outcome once."""

    def __init__(self, flat: Flat | None = None, **options: Any) -> None:
        """``flat`` ends the search before its last trial when more are not worth it."""
        super().__init__(**options)
        self.flat = flat
        self._last: dict[str, dict[str, Any]] = {}
        """The last result of each trial that has not ended."""

    def suggest(self, trial_id: str) -> Any:
        """Return a trial's config, or that the search has come to its end."""
        with one_torch_thread():
            if self.flat is not None and self.flat.look(optuna_study_of(self)):
                return self.FINISHED
            return super().suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep an epoch's metric, which Optuna hears when the trial ends."""
        self._last[trial_id] = {self.metric: result.get(self.metric)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna a trial's outcome; a trial without a finite metric has failed.

        Tune gives no result of a trial that ends while it is paused.
        """
        last = self._last.pop(trial_id, {})
        if not is_open(self, trial_id):
            return
        result = result or ({} if error else last)
        if error or self._is_finite(result):
            super().on_trial_complete(trial_id, result, error)
        else:
            tell_failed(self, trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the study and the sampler's state."""
        Path(checkpoint_path).write_bytes(pickled(self))

    def restore(self, checkpoint_path: str) -> None:
        """Read both back from a pickle; Tune's own files are pickles, too (docs/security.md)."""
        unpickle_into(self, Path(checkpoint_path).read_bytes())

    def _is_finite(self, result: dict[str, Any]) -> bool:
        value = result.get(self.metric)
        return value is not None and math.isfinite(value)


class Limiter(ConcurrencyLimiter):
    """ConcurrencyLimiter that does not count waiting trials, and on resume uses the new limit."""

    max_concurrent: int
    waiting = 0
    """The number of paused trials that cannot go on yet. Other trials may train in their place."""

    def suggest(self, trial_id: str) -> Any:
        """Return a trial's config; None while enough trials train or are about to."""
        limit = self.max_concurrent
        self.max_concurrent = limit + self.waiting
        try:
            return super().suggest(trial_id)
        finally:
            self.max_concurrent = limit

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a snapshot's state, except for its limit."""
        super().set_state({name: value for name, value in state.items() if name != LIMIT_KEY})
