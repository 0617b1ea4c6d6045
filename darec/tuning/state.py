"""What Tune neither saves nor survives: a scheduler's rungs on restore, metrics not finite."""

import math
import re
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ray
from optuna.trial import TrialState
from ray import tune
from ray.tune.experiment.trial import Trial
from ray.tune.progress_reporter import CLIReporter
from ray.tune.result import TIME_THIS_ITER_S
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.search.optuna import OptunaSearch

NO_GPU_MEMORY = re.compile("CUDA.*out of memory|CUBLAS_STATUS_ALLOC_FAILED")
"""Said by torch; Ray has an OutOfMemoryError, too, for a node's own memory."""
NODE_LOST = re.compile("its node has died|actor is temporarily unavailable")
"""Said by Ray, the second where a node is silent and not yet given up."""
MOST_NODES_LOST = 10
"""Of one trial, beside its other failures: more, and it may be the trial that takes nodes down."""
KNOWN = ("ended", "failures", "used")
"""What a `StudyState` knows of trials."""
MOST = "max_concurrent"
IDLE_S = 900.0
"""A search of which no trial has run for so long waits for a node that does not come."""


class StudyState(tune.Callback):
    """Carries the scheduler's state through Tune's snapshots, and knows which trials ended.

    Tune restores a callback's state before trials are queued again; the scheduler here is the one
    in ``TuneConfig``, also after both are unpickled together.
    """

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler
        self.ended: dict[str, str] = {}
        self.failures: dict[str, list[str]] = {}
        """Why each attempt at a trial failed, of those that did."""
        self.used: dict[str, tuple[float, float]] = {}
        """CPU and GPU seconds of each trial: its own share, and what it did twice."""
        self.halted = ""
        """Why the search cannot go on as things are; it ends as it does on Ctrl-C."""
        self._before_s, self._begun = 0.0, time.monotonic()

    def setup(self, **info: Any) -> None:
        """Begin a run of the search, its first or one that continues it."""
        self.halted, self._ran = "", time.monotonic()
        self._begun = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds that the search has run, in this process and in those that it continues."""
        return self._before_s + time.monotonic() - self._begun

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Halt a search that waits in vain for somewhere to run."""
        now = time.monotonic()
        waits = any(trial.status == Trial.PENDING for trial in trials)
        if not waits or any(trial.status == Trial.RUNNING for trial in trials):
            self._ran = now
        elif now - self._ran > IDLE_S:
            self._halt(f"no trial could run for {IDLE_S:g} s: the cluster gives no room for one")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Add what a trial used since its last report."""
        share, used = trial.placement_group_factory.required_resources, self.used
        seconds, (cpu_s, gpu_s) = result[TIME_THIS_ITER_S], used.get(trial.trial_id, (0.0, 0.0))
        cpu_s, gpu_s = cpu_s + seconds * share["CPU"], gpu_s + seconds * share.get("GPU", 0)
        used[trial.trial_id] = cpu_s, gpu_s

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget that a trial ended that is run again: a failed one, after ``--resume``."""
        self.ended.pop(trial.trial_id, None)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial ended by itself, by its last epoch or by the scheduler."""
        self.ended[trial.trial_id] = "completed"

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note why a trial failed that is tried again; one that lacked memory gets more GPU.

        The loss of its node, a spot instance say, is not counted as a failure of the trial's.
        """
        error = self._failed(trial)
        known = trial.run_metadata.num_failures
        trial.run_metadata.num_failures = min(known, counted(self.failures[trial.trial_id]))
        share = dict(trial.placement_group_factory.required_resources)
        if NO_GPU_MEMORY.search(error) and 0 < share.get("GPU", 0) < 1:
            gpu = min(1.0, 2 * share["GPU"])
            trial.update_resources({"cpu": share.get("CPU", 0), "gpu": gpu})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial failed more often than it may."""
        self.ended[trial.trial_id] = "failed"
        self._failed(trial)

    def _failed(self, trial: Any) -> str:
        error = _last_error(trial)
        self.failures.setdefault(trial.trial_id, []).append(error)
        if "OtherCodeError: " in error:
            self._halt(error.partition("OtherCodeError: ")[2])
        return error

    def _halt(self, reason: str) -> None:
        if not self.halted:
            self.halted = reason
            signal.raise_signal(signal.SIGINT)

    def get_state(self) -> dict[str, Any]:
        """Return what a snapshot must hold."""
        scheduler = ray.cloudpickle.dumps(self.scheduler.__dict__)
        known = {name: dict(getattr(self, name)) for name in KNOWN}
        return {"scheduler": scheduler, **known, "spent_s": self.spent_s}

    def set_state(self, state: dict[str, Any]) -> None:
        """Put a snapshot's state back into the scheduler in use.

        Like Tune's own snapshot beside it, a pickle: resume only what you trust (docs/security.md).
        """
        self.scheduler.__dict__.update(ray.cloudpickle.loads(state["scheduler"]))
        for name in KNOWN:
            setattr(self, name, dict(state.get(name, {})))
        self._before_s, self._begun = state["spent_s"], time.monotonic()


def nodes_lost(failures: Iterable[str]) -> int:
    """Return how many of a trial's failures were the loss of its node."""
    return sum(bool(NODE_LOST.search(error)) for error in failures)


def counted(failures: Sequence[str]) -> int:
    """Return how many failures count against a trial."""
    return len(failures) - min(nodes_lost(failures), MOST_NODES_LOST)


def _last_error(trial: Any) -> str:
    """Return the last line of a trial's error file that says something, its beginning."""
    path = Path(trial.error_file) if trial.error_file else None
    lines = path.read_text().split("\n") if path and path.is_file() else []
    told = [line.strip() for line in lines if line and not line[0].isspace()]
    told = [line for line in told if not line.startswith("The actor never ran")]
    return told[-1][:160] if told else "no reason was recorded"


class SafeReporter(CLIReporter):
    """CLIReporter that sorts by the metric, which trials lack that a time budget ended early."""

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        """Print the table of trials that run or have a metric."""
        known = [t for t in trials if t.status != Trial.TERMINATED or self._metric in t.last_result]
        super().report(known, done, *sys_info)


class Limiter(ConcurrencyLimiter):
    """ConcurrencyLimiter whose most trials at once are not those of the run it continues."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Take a snapshot's state, but for that."""
        super().set_state({name: value for name, value in state.items() if name != MOST})


class SafeOptunaSearch(OptunaSearch):
    """OptunaSearch that takes no metric that is not finite, and no trial twice."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an epoch's metric to Optuna."""
        if self._is_open(trial_id) and self._finite(result):
            super().on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna a trial's outcome; one without a finite metric has failed."""
        if not self._is_open(trial_id):
            return
        if error or self._finite(result or {}):
            super().on_trial_complete(trial_id, result, error)
        else:
            self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.FAIL)
            self._completed_trials.add(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the study and the sampler's state."""
        Path(checkpoint_path).write_bytes(ray.cloudpickle.dumps(self.__dict__.copy()))

    def restore(self, checkpoint_path: str) -> None:
        """Read them back: a pickle, as Tune's own (docs/security.md)."""
        self.__dict__.update(ray.cloudpickle.loads(Path(checkpoint_path).read_bytes()))

    def _is_open(self, trial_id: str) -> bool:
        return trial_id in self._ot_trials and trial_id not in self._completed_trials

    def _finite(self, result: dict[str, Any]) -> bool:
        value = result.get(self.metric)
        return value is not None and math.isfinite(value)
