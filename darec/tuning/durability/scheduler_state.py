"""Lets every Tune scheduler continue after the driver or a trial's process has ended.

Tune's snapshots contain neither the scheduler's state (ray-project/ray#30838) nor which trials it
has paused. A restarted trial also repeats epochs that the scheduler has already seen.
"""

from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import TrialScheduler

from darec.errors import UserError
from darec.tuning.durability.trial_pickle import pickled_with_ids, unpickled_with_trials
from darec.tuning.private import set_status
from darec.tuning.trial.names import TIME


@dataclass
class _Heard:
    """The last epoch of a trial that the scheduler has seen, and its decision on the trial."""

    time: float = 0.0
    decision: str = TrialScheduler.CONTINUE
    over: bool = False
    """Whether the trial has ended, other than by an error."""

    @property
    def interrupted(self) -> bool:
        """Whether a trial that waits was training before."""
        return self.time > 0 and self.decision == TrialScheduler.CONTINUE


class Resumable(TrialScheduler):
    """Passes everything on to a scheduler, but each of a trial's epochs once.

    Its state names trials by id, because Tune makes new objects of them when a search is resumed.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        super().__init__()
        self.scheduler = scheduler
        self._heard: dict[str, _Heard] = {}
        self._saved: bytes | None = None
        """A state to be restored as soon as Tune has queued all trials again."""
        self._queued: list[Trial] = []
        """The trials that Tune has queued since `restore_later`."""

    def state(self) -> bytes:
        """Return the state of the scheduler, and what it has heard."""
        if self._saved is not None:
            return self._saved
        return pickled_with_ids((self.scheduler, self._heard))

    def restore_later(self, state: bytes) -> None:
        """Restore a `state` before the next trial runs: a pickle (docs/security.md)."""
        self._saved, self._queued = state, []

    @property
    def n_restored(self) -> int:
        """The number of trials that Tune has queued again, before the first one runs."""
        return len(self._queued)

    @property
    def metric(self) -> Any:
        """The metric that the scheduler compares."""
        return self.scheduler.metric

    @property
    def supports_buffered_results(self) -> bool:
        """Whether the scheduler may hear several results at once."""
        return bool(self.scheduler.supports_buffered_results)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Tell the scheduler what the search minimises."""
        return bool(self.scheduler.set_search_properties(metric, mode, **spec))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take up a trial that is new, resumed, or about to start again after a failure."""
        if self._saved is None:
            self._take_up(tune_controller, trial)
        else:
            self._queued.append(trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Drop a trial that Tune gives up.

        Tune also calls this before it retries a trial. The status is ERROR then, and the trial
        stays.
        """
        if trial.status != Trial.ERROR:
            self._heard.pop(trial.trial_id, None)
            self.scheduler.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return the scheduler's decision; it has decided already on an epoch that is repeated."""
        heard, now = self._heard[trial.trial_id], result[TIME]
        if now <= heard.time:
            stopped = heard.decision == TrialScheduler.STOP and now == heard.time
            return str(TrialScheduler.STOP if stopped else TrialScheduler.CONTINUE)
        decision: str = self.scheduler.on_trial_result(tune_controller, trial, result)
        heard.time, heard.decision = now, decision
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Note the end of a running trial."""
        self._heard[trial.trial_id].over = True
        self.scheduler.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Note the end of a trial that waits or is paused."""
        self._heard[trial.trial_id].over = True
        self.scheduler.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a trial that was interrupted, or else the scheduler's choice.

        If the scheduler chooses none and all trials are paused, return a paused one. Otherwise
        HyperBand would wait forever for a trial that has already ended by itself.
        """
        self._restore(tune_controller)
        live = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        for trial in live:
            if trial.status == Trial.PENDING and self._heard[trial.trial_id].interrupted:
                return trial
        chosen: Trial | None = self.scheduler.choose_trial_to_run(tune_controller)
        if chosen is None and all(trial.status == Trial.PAUSED for trial in live):
            return live[0] if live else None
        return chosen

    def debug_string(self) -> str:
        """Return what the scheduler says of itself."""
        return str(self.scheduler.debug_string())

    def _restore(self, tune_controller: Any) -> None:
        if self._saved is None:
            return
        trials = {trial.trial_id: trial for trial in self._queued}
        self.scheduler, self._heard = unpickled_with_trials(self._saved, trials)
        self._saved = None
        for trial in self._queued:
            self._take_up(tune_controller, trial)
        self._queued = []

    def _take_up(self, tune_controller: Any, trial: Trial) -> None:
        """Add a new trial to the scheduler; give a known trial its earlier status.

        Tune's snapshots do not record that a trial was paused, or was stopped while paused.
        """
        heard = self._heard.get(trial.trial_id)
        if heard is None:
            self._heard[trial.trial_id] = _Heard()
            self.scheduler.on_trial_add(tune_controller, trial)
        elif heard.over:
            set_status(tune_controller, trial, Trial.TERMINATED)
        elif heard.decision == TrialScheduler.PAUSE:
            set_status(tune_controller, trial, Trial.PAUSED)


class SchedulerState(tune.Callback):
    """Saves the scheduler with every snapshot and restores it when a search is resumed.

    Tune restores callbacks before it queues trials again. The scheduler here is the one in
    ``TuneConfig``: Tune pickles both together, so that they are still one object afterwards.
    """

    def __init__(self, scheduler: Resumable) -> None:
        self.scheduler = scheduler
        self.expected = 0
        """The number of trials that a resumed search has, before Tune restores it."""

    def setup(self, **info: Any) -> None:
        """Begin a run; raises `UserError` if Tune, unable to restore a search, begins it anew."""
        if self.scheduler.n_restored < self.expected:
            message = f"Tune could not restore the search's {self.expected} trials"
            raise UserError(f"{message}: its snapshot is damaged, or of another version")

    def get_state(self) -> dict[str, Any]:
        """Return the scheduler's state, for a snapshot."""
        return {"scheduler": self.scheduler.state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the scheduler from a snapshot."""
        self.scheduler.restore_later(state["scheduler"])
