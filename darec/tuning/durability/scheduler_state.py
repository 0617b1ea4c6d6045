"""Carries a scheduler's state through Tune's snapshots, which leave it out."""

from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler

from darec.tuning.private import pickled, unpickle_into


class SchedulerState(tune.Callback):
    """Saves the scheduler with every snapshot and restores it when a search is resumed.

    Tune restores callbacks before it queues trials again. The scheduler here is the one in
    ``TuneConfig``: Tune pickles both together, so that they are still one object afterwards.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler

    def get_state(self) -> dict[str, Any]:
        """Return the scheduler's state, for a snapshot."""
        return {"scheduler": pickled(self.scheduler)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the scheduler from a snapshot: a pickle (docs/security.md)."""
        unpickle_into(self.scheduler, state["scheduler"])
