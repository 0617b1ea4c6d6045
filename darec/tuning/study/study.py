"""One study: Optuna proposes trials, and Tune runs them and stops poor ones early."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from ray import tune

from darec.core.recommender import Cache
from darec.data.split import SearchData
from darec.errors import UserError
from darec.models import ModelKind
from darec.provenance import this_build
from darec.reporter import SILENT, Reporter
from darec.seeds import derive
from darec.tuning import storage
from darec.tuning.cluster.gpu_retry import MoreGPUMemory
from darec.tuning.cluster.shares import CHECKPOINTS, Slots
from darec.tuning.durability import snapshot
from darec.tuning.durability.retention import KEPT, KeepTheBest
from darec.tuning.durability.scheduler_state import Resumable, SchedulerState
from darec.tuning.private import (
    callbacks_of,
    limit_concurrency,
    numbered_trials,
    pickled,
    progress_reporter_of,
    search_algorithm_of,
)
from darec.tuning.side_effects import quiet_libraries, signal_handlers_kept
from darec.tuning.study.accounts import Clock, Outcomes, Usage, own_failures
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.ending import early_end, storage_fault, without_winner
from darec.tuning.study.halt import CodeWatch, DiskWatch, Halt, IdleWatch
from darec.tuning.study.in_order import InOrderSearch
from darec.tuning.study.progress import StudyProgress
from darec.tuning.study.rows import TrialRow, summary_lines, trial_rows
from darec.tuning.study.searcher import Limiter, SafeOptunaSearch, empty_space
from darec.tuning.study.stopper import Ends
from darec.tuning.trial.loggers import loggers
from darec.tuning.trial.names import METRIC, flatten
from darec.tuning.trial.trainable import RecommenderTrainable, TrialTask
from darec.tuning.trial.travel import send_by_value

CallbackT = TypeVar("CallbackT", bound=tune.Callback)
MAX_FAILURES = 3
"""Tune starts a trial again after this many failures of its own, and gives it up at the next."""
CLOCKS_DIFFER_S = 2.0
"""Most seconds by which Tune's clock of a time budget and ours may differ."""
REMEDY = "mend that and continue with --resume"


class StudyInterrupted(Exception):
    """A study was told to stop before its end; its files allow it to be resumed."""


@dataclass(frozen=True)
class Settings:
    """How studies are run; the same for all studies of a search."""

    sampler: str
    """A name in `darec.tuning.study.algorithms.SAMPLERS`."""
    scheduler: str
    """A name in `darec.tuning.study.algorithms.SCHEDULERS`."""
    max_epochs: int
    """Epochs after which a trial ends at the latest."""
    slots: Slots
    seed: int
    """The root seed of samplers and runs."""
    cache: Cache
    """Where trials share trained first stages."""
    lag: int | None = None
    """Makes a study's outcome independent of timing (`darec.tuning.study.in_order`); None: every
    outcome counts as soon as it is known."""
    trial_limit: float = math.inf
    """Seconds of training after which a trial ends; `RecommenderTrainable` ends one that hangs."""
    reporter: Reporter = SILENT


@dataclass(frozen=True)
class Study:
    """What one study searches: a model on data, a space, and where its files go."""

    model: str
    """The model's name; it also selects the sampler's random stream."""
    kind: ModelKind
    data: SearchData
    space: Mapping[str, BaseDistribution]
    fixed: dict[str, Any]
    trials: int
    folder: Path
    storage: str
    """The same folder, or the URI that Tune writes to."""
    time_budget: float | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    """The first trial's value of everything that is drawn; empty: the first is drawn too."""
    rejudge: int = 0
    """How many of the best are judged again (`darec.tuning.study.rejudge`)."""

    @property
    def tune_folder(self) -> str:
        """Where Tune keeps its own files."""
        return storage.join(self.storage, "tune")


def run_study(study: Study, settings: Settings, resume: bool) -> list[TrialRow]:
    """Run or resume a study to its end and return its trials, best first.

    Raises `StudyInterrupted` when it was told to stop, and `UserError` when it cannot go on as
    things are or no trial reached a finite validation RMSE.
    """
    budget = math.inf if study.time_budget is None else study.time_budget
    while True:
        with quiet_libraries():
            rows, watched = _run_once(study, settings, resume)
        if watched.halt.reason:
            _report(rows, settings)
            raise UserError(f"{study.storage}: {watched.halt.reason}; {REMEDY}")
        over = watched.clock.spent_s >= budget - max(CLOCKS_DIFFER_S, budget / 100)
        if len(watched.outcomes.ended) < study.trials and not over:
            _report(rows, settings)
            raise StudyInterrupted(study.storage)
        # Tune gives a trial up at once when the process that it is about to reuse has died.
        # Such a trial has failures left and is run again.
        failed = [own_failures(row.failures) for row in rows if row.ended == "failed"]
        if over or all(failures > MAX_FAILURES for failures in failed):
            break
        resume = True
    _report(rows, settings)
    if fault := storage_fault(rows, study.storage):
        raise UserError(f"{study.storage}: {fault}; {REMEDY}")
    if not rows or rows[0].best_epoch == 0:
        raise UserError(f"{study.storage}: {without_winner(rows, budget if over else math.inf)}")
    return rows


def _report(rows: list[TrialRow], settings: Settings) -> None:
    for line in summary_lines(rows):
        settings.reporter.line(line)


@dataclass(frozen=True)
class _Watched:
    """The callbacks that are read after Tune's run."""

    halt: Halt
    clock: Clock
    outcomes: Outcomes
    usage: Usage
    snapshots: snapshot.CopySnapshots

    @staticmethod
    def of(tuner: tune.Tuner) -> "_Watched":
        """Return a tuner's callbacks. A restored tuner has unpickled ones."""
        return _Watched(
            one_of(Halt, tuner),
            one_of(Clock, tuner),
            one_of(Outcomes, tuner),
            one_of(Usage, tuner),
            one_of(snapshot.CopySnapshots, tuner),
        )


def one_of(kind: type[CallbackT], tuner: tune.Tuner) -> CallbackT:
    """Return a tuner's callback of a kind."""
    return next(each for each in callbacks_of(tuner) if isinstance(each, kind))


def _run_once(study: Study, settings: Settings, resume: bool) -> tuple[list[TrialRow], _Watched]:
    """Let Tune run until all trials have ended or it is stopped, by a time budget for example."""
    tuner = make_tuner(study, settings, resume)
    watched = _Watched.of(tuner)
    try:
        with signal_handlers_kept(), numbered_trials(search_algorithm_of(tuner)):
            grid = tuner.fit()
    except Exception as error:
        if reason := early_end(error, watched.halt, watched.outcomes, watched.snapshots.folder):
            raise UserError(f"{study.storage}: {reason}; {REMEDY}") from error
        raise
    watched.snapshots.copy()
    return trial_rows(grid, watched.outcomes, watched.usage), watched


def make_tuner(study: Study, settings: Settings, resume: bool) -> tune.Tuner:
    """Return Tune's driver of a study; raises `UserError` if it cannot be resumed."""
    task = TrialTask(
        kind=send_by_value(study.kind),
        data=study.data,
        seed=derive(settings.seed, "run"),
        cache=settings.cache,
        report_at=SCHEDULERS[settings.scheduler].decides_at(settings.max_epochs),
        limit=settings.trial_limit,
        n_trials=study.trials,
        driver=this_build(),
    )
    trainable = tune.with_resources(
        tune.with_parameters(RecommenderTrainable, task=task),
        {
            "cpu": settings.slots.cpus,
            "gpu": settings.slots.gpus,
            "memory": settings.slots.memory,
        },
    )
    if resume:
        restored = _restored(study, settings, trainable)
        if restored is not None:
            return restored
        snapshot.delete_unknown_trials(study.tune_folder, set())
    return _new(study, settings, trainable, waits=resume)


def _restored(study: Study, settings: Settings, trainable: Any) -> tune.Tuner | None:
    """Return a search that goes on from its snapshot; None if there is nothing to go on from.

    That is so if no trial was begun, or its time was over before a trial had an epoch.
    """
    path = study.tune_folder
    snapshot.restore_copy(path)
    if not snapshot.has_snapshot(path):
        return None
    snapshot.delete_pickled_errors(path)
    try:
        snapshot.follow(path)
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
        results = list(tuner.get_results())
    except Exception as error:  # a damaged pickle, or one of another version, may raise anything
        told = f"Tune's snapshot there cannot be read ({type(error).__name__})"
        raise UserError(f"{path}: {told}; {snapshot.START_AGAIN}") from error
    some_epoch = any(METRIC in (result.metrics or {}) for result in results)
    if not results or not (study.time_budget is None or some_epoch):
        return None
    snapshot.delete_unknown_trials(path, {Path(result.path).name for result in results})
    one_of(SchedulerState, tuner).expected = len(results)
    limit_concurrency(search_algorithm_of(tuner), settings.slots.concurrent)
    progress_reporter_of(tuner).show_through(settings.reporter)
    return tuner


def _new(study: Study, settings: Settings, trainable: Any, waits: bool) -> tune.Tuner:
    """Return a search from its beginning; ``waits`` is that of `Ends`."""
    seconds = math.inf if study.time_budget is None else study.time_budget
    known = SCHEDULERS[settings.scheduler]
    make = known.make if settings.lag is None else (known.in_order or known.make)
    scheduler = Resumable(make(settings.max_epochs))
    sampler_seed = derive(settings.seed, "sampler", study.model) % 2**32
    search_of = SafeOptunaSearch if settings.lag is None else partial(InOrderSearch, settings.lag)
    search = search_of(
        space=dict(study.space) or empty_space,
        metric=METRIC,
        mode="min",
        sampler=SAMPLERS[settings.sampler](sampler_seed),
        points_to_evaluate=[dict(study.start)] if study.start else None,
    )
    state, halt = SchedulerState(scheduler), Halt()
    for option, part, save in (
        ("sampler", settings.sampler, lambda: pickled(search)),
        ("scheduler", settings.scheduler, state.get_state),
    ):
        _check_saves(f"--{option} {part}", save)
    callbacks = [
        *(state, Clock(), Usage(), Outcomes(), MoreGPUMemory()),
        *(halt, IdleWatch(halt), CodeWatch(halt), DiskWatch(halt)),
        *(KeepTheBest(max(KEPT, study.rejudge)), snapshot.CopySnapshots()),
        *loggers(),
    ]
    return tune.Tuner(
        trainable,
        param_space=flatten(study.fixed),
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="min",
            search_alg=Limiter(search, settings.slots.concurrent),
            scheduler=scheduler,
            num_samples=study.trials,
            reuse_actors=True,
            trial_dirname_creator=_trial_id,
            trial_name_creator=_trial_id,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=study.storage,
            stop=Ends(settings.max_epochs, seconds, waits),
            callbacks=callbacks,
            progress_reporter=StudyProgress(settings.reporter, list(study.space), study.trials),
            verbose=1,
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_at_end=True, num_to_keep=CHECKPOINTS
            ),
        ),
    )


def _check_saves(name: str, save: Callable[[], Any]) -> None:
    """Raise `UserError` if a search with this sampler or scheduler could not be resumed."""
    try:
        save()
    except Exception as error:
        told = "cannot be resumed, because its state cannot be pickled"
        raise UserError(f"{name}: a search with it {told}: {error}") from error


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)
