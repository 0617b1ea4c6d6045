"""Tune's driver of a study: a new one, or one that goes on from a snapshot."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ray import tune

from darec.core.hierarchical import known_biases
from darec.errors import UserError
from darec.provenance import this_build
from darec.seeds import derive
from darec.tuning.cluster.gpu_retry import MoreGPUMemory
from darec.tuning.cluster.shares import CHECKPOINTS
from darec.tuning.durability import snapshot
from darec.tuning.durability.retention import KeepTheBest, kept_trials
from darec.tuning.durability.scheduler_state import Resumable, SchedulerState
from darec.tuning.private import (
    callbacks_of,
    limit_concurrency,
    pickled,
    progress_reporter_of,
    search_algorithm_of,
)
from darec.tuning.study.accounts import Clock, Outcomes, Usage
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.flat import Flat, tolerance
from darec.tuning.study.halt import CodeWatch, DiskWatch, Halt, IdleWatch, StopWatch
from darec.tuning.study.in_order import InOrderSearch
from darec.tuning.study.journal import NAME as JOURNAL
from darec.tuning.study.journal import Journal
from darec.tuning.study.progress import StudyProgress
from darec.tuning.study.searcher import Limiter, SafeOptunaSearch, empty_space
from darec.tuning.study.stopper import Ends
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.loggers import loggers
from darec.tuning.trial.names import METRIC, TIME, flatten, trial_folder
from darec.tuning.trial.tracking import Tracking
from darec.tuning.trial.trainable import RecommenderTrainable, TrialTask
from darec.tuning.trial.travel import send_by_value

CallbackT = TypeVar("CallbackT", bound=tune.Callback)
MAX_FAILURES = 3
"""Tune starts a trial again after this many failures of its own, and gives it up at the next."""


def one_of(kind: type[CallbackT], tuner: tune.Tuner) -> CallbackT:
    """Return a tuner's callback of a kind; raises `UserError` if a restored one lacks it."""
    for each in callbacks_of(tuner):
        if isinstance(each, kind):
            return each
    message = f"an earlier version began this search, without its {kind.__name__}"
    raise UserError(f"{message}; {snapshot.START_AGAIN}")


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
        metric=study.metric,
        biases=known_biases(study.data.training),
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
    """Return a search restored from its snapshot; None if it must start anew.

    It must if no trial was started, or if a search with a time budget has no epoch yet.
    """
    path = study.tune_folder
    snapshot.restore_copy(path)
    if not snapshot.has_snapshot(path):
        return None
    snapshot.delete_pickled_errors(path)
    try:
        snapshot.update_trial_generator(path, study.trials)
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
        results = list(tuner.get_results())
    except Exception as error:  # a damaged pickle, or one of another version, may raise anything
        message = f"Tune's snapshot there cannot be read ({type(error).__name__})"
        raise UserError(f"{path}: {message}; {snapshot.START_AGAIN}") from error
    begun = [result.metrics for result in results if TIME in (result.metrics or {})]
    if any(METRIC not in metrics for metrics in begun):
        message = "an earlier version began this search, and it cannot go on"
        raise UserError(f"{path}: {message}; {snapshot.START_AGAIN}")
    some_epoch = any(METRIC in (result.metrics or {}) for result in results)
    if not results or not (study.time_budget is None or some_epoch):
        return None
    snapshot.delete_unknown_trials(path, {Path(result.path).name for result in results})
    one_of(SchedulerState, tuner).expected = len(results)
    one_of(StopWatch, tuner).folder = study.search_folder  # it may have been moved
    one_of(IdleWatch, tuner).slots = settings.slots
    one_of(Journal, tuner).folder = study.folder
    one_of(Tracking, tuner).tracker = settings.tracker
    progress_reporter_of(tuner).n_trials = study.trials  # it may have become larger
    limit_concurrency(search_algorithm_of(tuner), settings.slots.concurrent)
    return tuner


def _new(study: Study, settings: Settings, trainable: Any, waits: bool) -> tune.Tuner:
    """Return a search from its beginning; ``waits`` is that of `Ends`."""
    seconds = math.inf if study.time_budget is None else study.time_budget
    known = SCHEDULERS[settings.scheduler]
    make = known.make if settings.lag is None else known.in_order
    assert make is not None, "a reproducible search has a scheduler that decides in order"
    scheduler = Resumable(make(settings.max_epochs))
    sampler_seed = derive(settings.seed, "sampler", study.model) % 2**32
    can_be_flat = study.stop_when_flat and study.space
    flat = Flat(tolerance(study.data), sampler_seed) if can_be_flat else None
    first = (*study.known.winners, study.start, *study.known.portfolio)
    search_of = SafeOptunaSearch if settings.lag is None else partial(InOrderSearch, settings.lag)
    search = search_of(
        flat=flat,
        space=dict(study.space) or empty_space,
        metric=METRIC,
        mode="min",
        sampler=SAMPLERS[settings.sampler](sampler_seed),
        points_to_evaluate=[dict(each) for each in first if each] or None,
    )
    (study.folder / JOURNAL).unlink(missing_ok=True)  # of a study that begins anew
    state, halt, snapshots = SchedulerState(scheduler), Halt(), snapshot.CopySnapshots()
    for option, part, save in (
        ("sampler", settings.sampler, lambda: pickled(search)),
        ("scheduler", settings.scheduler, state.get_state),
    ):
        _check_saves(f"--{option} {part}", save)
    callbacks = [
        *(state, Clock(), Usage(), Outcomes(settings.max_epochs), MoreGPUMemory()),
        *(
            halt,
            IdleWatch(halt, settings.slots),
            StopWatch(halt, study.search_folder),
            CodeWatch(halt),
            DiskWatch(halt),
        ),
        Journal(study.folder, study.space),
        *(snapshots, KeepTheBest(snapshots, kept_trials(study.rejudge), study.kind.variant)),
        *loggers(study.model, study.label, settings.tracker),
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
            trial_dirname_creator=_trial_folder,
            trial_name_creator=_trial_id,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=study.storage,
            stop=Ends(settings.max_epochs, seconds, waits),
            callbacks=callbacks,
            progress_reporter=StudyProgress(
                study.title or study.model,
                list(study.space),
                study.trials,
                study.metric,
                study.to_beat,
                study.part,
            ),
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
        message = "cannot be resumed, because its state cannot be pickled"
        raise UserError(f"{name}: a search with it {message}: {error}") from error


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)


def _trial_folder(trial: Any) -> str:
    return trial_folder(str(trial.trial_id), trial.evaluated_params)
