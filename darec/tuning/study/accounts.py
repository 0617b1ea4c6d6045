"""What a study records: how long it ran, what its trials used, and how they ended."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from ray import tune
from ray.tune.result import TIME_THIS_ITER_S

from darec.reporter import LOGGER
from darec.tuning.failures import NODE_LOST, last_error_of
from darec.tuning.private import (
    failures_counted,
    set_failure_count,
    share_of,
)
from darec.tuning.trial.names import TIME

MOST_NODES_LOST = 10
"""This many losses of its node do not count against a trial. With more, it may be the cause."""


class Clock(tune.Callback):
    """Measures how long a study has run, over all processes that continued it."""

    def __init__(self) -> None:
        self._earlier_s, self._begin = 0.0, time.monotonic()

    def setup(self, **info: Any) -> None:
        """Begin to measure this run."""
        self._begin = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds that the study has run in this process and in those before it."""
        return self._earlier_s + time.monotonic() - self._begin

    def get_state(self) -> dict[str, Any]:
        """Return the time so far, for a snapshot."""
        return {"spent_s": self.spent_s}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from the time of a snapshot."""
        self._earlier_s, self._begin = state["spent_s"], time.monotonic()


class Usage(tune.Callback):
    """Adds up the CPU and GPU seconds of each trial, repeated epochs included."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        """CPU and GPU seconds by trial: its time multiplied by its share."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Add what a trial used since its last report."""
        share, seconds = share_of(trial), result[TIME_THIS_ITER_S]
        cpu_s, gpu_s = self.seconds.get(trial.trial_id, (0.0, 0.0))
        used = cpu_s + seconds * share["CPU"], gpu_s + seconds * share.get("GPU", 0.0)
        self.seconds[trial.trial_id] = used

    def get_state(self) -> dict[str, Any]:
        """Return the sums so far, for a snapshot."""
        return {"seconds": dict(self.seconds)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from the sums of a snapshot."""
        self.seconds = dict(state["seconds"])


class Outcomes(tune.Callback):
    """Notes how each trial ended, and why its failed attempts failed.

    Losing its node is not held against a trial: a spot instance may be taken away at any time.
    """

    def __init__(self, max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self.ended: dict[str, str] = {}
        """How each ended trial ended: ``failed``; ``completed``, by the last epoch; or
        ``stopped early``, by the scheduler; or the reason that the trial gave."""
        self.failures: dict[str, list[str]] = {}
        """The reason of every failed attempt, by trial."""

    def end_of(self, trial_id: str) -> str:
        """Return how a trial ended."""
        return self.ended.get(trial_id, "ended")

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget the end of a trial that starts again: ``--resume`` repeats failed ones."""
        self.ended.pop(trial.trial_id, None)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial reached its end, or that the scheduler stopped it."""
        last = trial.last_result or {}
        end = "completed" if last.get(TIME, 0) >= self._max_epochs else "stopped early"
        self.ended[trial.trial_id] = last.get("reason") or end

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note why an attempt failed that Tune retries; do not count lost nodes as failures."""
        self._note(trial)
        own = own_failures(self.failures[trial.trial_id])
        set_failure_count(trial, min(failures_counted(trial), own))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note why the last attempt failed, and that Tune gives the trial up."""
        self._note(trial)
        self.ended[trial.trial_id] = "failed"

    def _note(self, trial: Any) -> None:
        error = last_error_of(trial)
        LOGGER.debug("trial %s: an attempt failed: %s", trial.trial_id, error)
        self.failures.setdefault(trial.trial_id, []).append(error)

    def get_state(self) -> dict[str, Any]:
        """Return the records so far, for a snapshot."""
        return {"ended": dict(self.ended), "failures": dict(self.failures)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from the records of a snapshot."""
        self.ended, self.failures = dict(state["ended"]), dict(state["failures"])


def nodes_lost(failures: Iterable[str]) -> int:
    """Return how many of a trial's failures were the loss of its node."""
    return sum(bool(NODE_LOST.search(error)) for error in failures)


def own_failures(failures: Sequence[str]) -> int:
    """Return how many failures count against a trial itself."""
    return len(failures) - min(nodes_lost(failures), MOST_NODES_LOST)
