"""One study: Optuna proposes, Tune runs and stops, every row of every trial counts."""

import math
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import optuna
import ray
from optuna.distributions import BaseDistribution
from pyarrow.fs import FileSelector, FileSystem
from ray import tune

from darec.core.recommender import Cache
from darec.data.split import SearchData
from darec.errors import UserError
from darec.provenance import code_digest, versions
from darec.seeds import derive
from darec.tuning.algorithms import SAMPLERS, SCHEDULERS, decided_at
from darec.tuning.keep import KeepTheBest
from darec.tuning.loggers import loggers
from darec.tuning.names import flatten
from darec.tuning.resources import CHECKPOINTS, Slots
from darec.tuning.snapshot import KeepSnapshots, take_copy
from darec.tuning.state import (
    Limiter,
    SafeOptunaSearch,
    SafeReporter,
    StudyState,
    counted,
)
from darec.tuning.trainable import METRIC, TIME, RecommenderTrainable
from darec.tuning.trials import TrialRow, trial_rows

Kind = TypeVar("Kind", bound=tune.Callback)
MAX_FAILURES = 3
STORAGE_FAULTS = ("No space left", "Read-only file system", "Permission denied")
PROGRESS_S = 10.0
CLOCKS_S = 2.0
"""By how much Tune's clock of a time budget, and ours, may differ."""


@dataclass(frozen=True)
class Settings:
    """How a study searches; the same for both stages."""

    sampler: str
    """A name of `darec.tuning.algorithms.SAMPLERS`."""
    scheduler: str
    """A name of `darec.tuning.algorithms.SCHEDULERS`."""
    max_epochs: int
    """Epochs after which a trial ends at the latest."""
    slots: Slots
    seed: int
    """The root seed of samplers and runs."""
    cache: Cache
    """Where trials share stage 1."""
    trial_limit: float = math.inf
    """Seconds of a trial's epochs after which it ends, or is ended."""


@dataclass(frozen=True)
class Study:
    """What one study searches: a model on data, a space, and where its files go."""

    model: str
    data: SearchData
    space: Mapping[str, BaseDistribution]
    fixed: dict[str, Any]
    trials: int
    folder: Path
    storage: str
    """Tune's own storage: the folder, or the URI that mirrors it."""
    time_budget: float | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    """The first trial's values of all that is drawn; empty: it is drawn, too."""


def run_study(
    study: Study,
    settings: Settings,
    resume: bool,
    account: Callable[[list[TrialRow]], object] = lambda rows: None,
) -> list[TrialRow]:
    """Run or resume a study to its end and return its trials, best first.

    ``account`` is called with them also where no winner comes of it. Raises ``KeyboardInterrupt``
    when it was interrupted (its files allow ``--resume``), and `UserError` when no trial reached a
    finite validation RMSE.
    """
    budget = math.inf if study.time_budget is None else study.time_budget
    while True:
        rows, state = _pass(study, settings, resume)
        if state.halted:
            account(rows)
            raise UserError(f"{study.folder}: {state.halted}; mend that and continue with --resume")
        over = state.spent_s >= budget - max(CLOCKS_S, budget / 100)
        if len(state.ended) < study.trials and not over:
            account(rows)
            raise KeyboardInterrupt
        # Tune gives a trial up at once that is about to start on an actor that dies then
        failed = [counted(row.failures) for row in rows if row.ended == "failed"]
        if over or all(failures > MAX_FAILURES for failures in failed):
            break
        resume = True
    account(rows)
    reasons = [row.failures[-1] for row in rows if row.ended == "failed" and row.failures]
    unwritten = [told for told in reasons if any(reason in told for reason in STORAGE_FAULTS)]
    if unwritten:
        raise UserError(f"{study.folder}: {unwritten[0]}; mend that and continue with --resume")
    if not rows or rows[0].best_epoch == 0:
        ends = Counter(reasons or [row.ended for row in rows] or ["no trial was started"])
        ((reason, _),) = ends.most_common(1)
        raise UserError(f"{study.folder}: no trial has a finite validation RMSE: {reason}")
    return rows


def _pass(study: Study, settings: Settings, resume: bool) -> tuple[list[TrialRow], StudyState]:
    """Let Tune run until no trial is left, or it is stopped, by its time budget for one."""
    tuner, known = _tuner(study, settings, resume)
    state = _callback(tuner, StudyState)
    try:
        grid = tuner.fit()
    except (EOFError, pickle.UnpicklingError, OSError) as error:  # Tune's files, cut short
        told = [last for failed in state.failures.values() for last in failed] or [str(error)]
        raise UserError(
            f"{study.folder}: {told[-1]}; mend that and continue with --resume"
        ) from error
    _callback(tuner, KeepSnapshots).copy()
    rows = trial_rows(grid, state)
    lost = known - {row.trial_id for row in rows}
    if lost:
        rule = "Tune's state of the search is damaged"
        raise UserError(
            f"{study.storage}: {rule}: {len(lost)} trials are lost; delete it, or --out"
        )
    return rows, state


def _tuner(study: Study, settings: Settings, resume: bool) -> tuple[Any, set[str]]:
    """Return Tune's driver of a study, and the trials that it had before."""
    trainable = tune.with_resources(
        tune.with_parameters(
            RecommenderTrainable,
            model=study.model,
            data=study.data,
            seed=derive(settings.seed, "run"),
            cache=settings.cache,
            report_at=decided_at(settings.scheduler, settings.max_epochs),
            limit=settings.trial_limit,
            code=code_digest(),
            libraries=versions(),
            n_trials=study.trials,
        ),
        {"cpu": settings.slots.cpus, "gpu": settings.slots.gpus},
    )
    path = f"{study.storage.rstrip('/')}/tune"
    if resume:
        take_copy(path)
    if resume and _has_snapshot(path):
        _drop_errors(path)
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
        try:
            known = {Path(result.path).name for result in tuner.get_results()}
        except RuntimeError as error:
            rule = "Tune's snapshot there cannot be read"
            raise UserError(f"{path}: {rule}; delete {study.folder} to start again") from error
        if known:
            tuner._local_tuner._tune_config.search_alg.max_concurrent = settings.slots.concurrent
            return tuner, known
    scheduler = SCHEDULERS[settings.scheduler](settings.max_epochs)
    sampler_seed = derive(settings.seed, "sampler", study.model) % 2**32
    search = SafeOptunaSearch(
        space=dict(study.space) or nothing_to_draw,
        metric=METRIC,
        mode="min",
        sampler=SAMPLERS[settings.sampler](sampler_seed),
        points_to_evaluate=[dict(study.start)] if study.start else None,
    )
    reporter = SafeReporter(
        metric_columns={TIME: TIME, "valid_rmse": "valid RMSE", METRIC: "best"},
        parameter_columns=list(study.space),
        max_report_frequency=PROGRESS_S,
        max_progress_rows=8,
        max_column_length=12,
        sort_by_metric=True,
        print_intermediate_tables=True,
    )
    tuner = tune.Tuner(
        trainable,
        param_space=flatten(study.fixed),
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="min",
            search_alg=Limiter(search, settings.slots.concurrent),
            scheduler=scheduler,
            num_samples=study.trials,
            reuse_actors=True,
            time_budget_s=study.time_budget,
            trial_dirname_creator=_trial_id,
            trial_name_creator=_trial_id,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=study.storage,
            stop={TIME: settings.max_epochs},
            callbacks=[StudyState(scheduler), KeepTheBest(), KeepSnapshots(), *loggers()],
            progress_reporter=reporter,
            verbose=1,
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_at_end=True, num_to_keep=CHECKPOINTS
            ),
        ),
    )
    return tuner, set()


def _has_snapshot(path: str) -> bool:
    """Whether Tune has written one: not before its first trial, though its folder is there."""
    files, root = FileSystem.from_uri(path)
    found = files.get_file_info(FileSelector(root, allow_not_found=True))
    return any(info.base_name.startswith("experiment_state-") for info in found)


def _drop_errors(path: str) -> None:
    """Delete the errors that Tune pickled: a disk that was full then has cut them short."""
    files, root = FileSystem.from_uri(path)
    for found in files.get_file_info(FileSelector(root, recursive=True)):
        if found.base_name == "error.pkl":
            files.delete_file(found.path)


def nothing_to_draw(trial: optuna.Trial) -> None:
    """Stand for the space of a model without hyper-parameters."""


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)


def _callback(tuner: Any, kind: type[Kind]) -> Kind:
    callbacks = tuner._local_tuner.get_run_config().callbacks
    return next(callback for callback in callbacks if isinstance(callback, kind))


def shutdown() -> None:
    """Leave Ray; a cluster that was joined goes on without this driver."""
    ray.shutdown()
