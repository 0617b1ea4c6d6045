"""Search a model's hyper-parameters, and the result that a search leaves on disk."""

import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from darec.api.registry import spaces_for
from darec.api.result import SearchResult, study_place
from darec.data.ratings import DomainPair
from darec.data.split import TrainPercent, split
from darec.errors import UserError
from darec.models import kind_of
from darec.models.best import study_folder
from darec.reporter import LogReporter, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import connected
from darec.tuning.cluster.shares import Wanted
from darec.tuning.durability.lock import alone
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.launch import checked_share, computed_share
from darec.tuning.study.plan import describe
from darec.tuning.study.protocol import Protocol
from darec.tuning.study.record import check_record
from darec.tuning.study.request import Budget, Request, Stages
from darec.tuning.study.study import Settings, StudyInterrupted
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import Space


def search(
    model: str,
    pair: DomainPair,
    *,
    train: TrainPercent = 90,
    trials: int = 50,
    stage1_trials: int | None = None,
    max_epochs: int = 100,
    sampler: str = "tpe",
    scheduler: str = "asha",
    stages: Stages = "paper",
    fix: Mapping[str, Any] | None = None,
    space: Space | str | Path | None = None,
    time_budget: float | None = None,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float | None = None,
    at_once: int | None = None,
    trial_limit: float = math.inf,
    address: str | None = None,
    seed: int = 0,
    out: str | Path = "results",
    resume: bool = False,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Search a model's hyper-parameters; the lowest validation RMSE wins.

    Test ratings are never read. Ray is started on this machine, or a cluster is joined; if you
    called ``ray.init`` before, your connection is used and kept.

    Args:
        model: A model's name (`darec.models`).
        pair: The ratings (`darec.load_pair`).
        train: Percent of the ratings that are not held out.
        trials: Trials of the model's study.
        stage1_trials: Trials of each first-stage study; a third of ``trials`` by default.
        max_epochs: Number of epochs after which a trial ends at the latest.
        sampler: How trials are drawn (`darec.tuning.study.algorithms.SAMPLERS`).
        scheduler: How trials are stopped early (``SCHEDULERS`` there).
        stages: ``paper`` searches the first stage, then freezes it; ``joint`` searches both.
        fix: Hyper-parameters to hold fixed; those of the first stage as ``autorec/hidden``.
        space: Replaces the model's search space: a `Space`, or a file that defines ``SPACE``.
        time_budget: Seconds for all studies together; None: no limit.
        cpus_per_trial: CPUs of a trial, which has as many threads.
        gpus_per_trial: GPUs of a trial, possibly a fraction; by default what its memory needs.
        at_once: Most trials at once; by default as many as there is room for.
        trial_limit: Seconds of training after which a trial ends with its best epoch so far.
        address: The Ray cluster to join, ``auto`` for example; None: this machine.
        seed: Root seed of the split, the sampler and the runs.
        out: Folder or URI (``s3://...``) of all results.
        resume: Whether to continue a search that is there already.
        reporter: Receives the plan, progress and messages; by default they are logged.

    Returns:
        The result. After an interruption (Ctrl-C) it is not ``finished``, and its ``resume()``
        continues the search.

    Raises:
        UserError: An argument is wrong, the folder holds another search, a machine fails a check
            or lacks room, or no trial reached a finite validation RMSE.

    Example:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> result = darec.search("bias", pair, trials=2, out="results")  # doctest: +SKIP
        >>> result.best.valid_rmse  # doctest: +SKIP
        0.9876
    """
    arguments = {**locals(), "resume": True}
    _check_choices(train, trials, max_epochs, sampler, scheduler, stages)
    kind, (drawn, stage1) = kind_of(model), spaces_for(model, stages, fix, space)
    root, place = storage.working_folder(str(out)), study_place(str(out), pair.name, train, model)
    folder = study_folder(root, pair.name, train, model)
    request = Request(
        model=model,
        kind=kind,
        pair=pair.name,
        train=train,
        seed=seed,
        data=split(pair, train, seed).search,
        data_digest=pair.digest,
        space=drawn,
        stage1=stage1,
        budget=Budget(
            trials=trials if drawn.space else 1,
            stage1_trials=stage1_trials or max(1, trials // 3),
            max_epochs=1 if kind.whole_fit else max_epochs,
            time_budget=time_budget,
        ),
        sampler=sampler,
        scheduler=scheduler,
        stages=stages,
        fix=dict(fix or {}),
        folder=folder,
        storage=place,
    )
    wanted = Wanted(cpus_per_trial, gpus_per_trial, at_once, joined=address is not None)
    reporter = reporter or LogReporter()
    check_record(request, resume)
    result = SearchResult(place, folder, lambda: search(**arguments))
    if result.finished:
        _report_winner(result, reporter)
        return result
    with connected(address):
        share = computed_share(request, wanted)
        settings = Settings(
            sampler=sampler,
            scheduler=scheduler,
            max_epochs=request.budget.max_epochs,
            slots=share,
            seed=seed,
            cache=ClusterCache(),
            trial_limit=trial_limit,
            reporter=reporter,
        )
        for line in describe(request, settings):
            reporter.line(line)
        with alone(folder, place):
            _run(request, settings, wanted, resume)
    if result.finished:
        _report_winner(result, reporter)
    return result


def _check_choices(
    train: object, trials: int, max_epochs: int, sampler: str, scheduler: str, stages: str
) -> None:
    for option, value, known in (
        ("--train", train, (90, 80)),
        ("--sampler", sampler, tuple(SAMPLERS)),
        ("--scheduler", scheduler, tuple(SCHEDULERS)),
        ("--stages", stages, ("paper", "joint")),
    ):
        if value not in known:
            names = ", ".join(map(str, known))
            raise UserError(f"{option} must be one of {names}, but got {value!r}")
    for option, number in (("--trials", trials), ("--max-epochs", max_epochs)):
        if number < 1:
            raise UserError(f"{option} must be at least 1, but got {number}")


def _run(request: Request, settings: Settings, wanted: Wanted, resume: bool) -> None:
    """Check the machines and run all studies; an interruption leaves the search unfinished."""
    if storage.is_uri(request.storage):
        storage.fetch(request.storage, request.folder)
    check_record(request, resume)
    share = checked_share(request, wanted, settings.slots, settings.reporter)
    publish = storage.publisher(request.folder, request.storage)
    with suppress(StudyInterrupted):
        Protocol(request, replace(settings, slots=share), resume, publish).run(sys.argv)


def _report_winner(result: SearchResult, reporter: Reporter) -> None:
    """Report the winner, its gap to the bias baseline, its config and its warnings."""
    best = result.best
    verdict = "beats" if best.valid_rmse < best.bias_valid_rmse else "loses to"
    gap = abs(best.valid_rmse - best.bias_valid_rmse)
    reporter.line(
        f"\nWinner: trial {best.trial_id}, epoch {best.epoch}: validation RMSE "
        f"{best.valid_rmse:.4f}; it {verdict} the bias baseline ({best.bias_valid_rmse:.4f}) by "
        f"{gap:.4f}"
    )
    if best.stage1_valid_rmse is not None:
        reporter.line(f"  validation RMSE of its own first stage: {best.stage1_valid_rmse:.4f}")
    for name, value in best.config.items():
        reporter.line(f"  {name:15} {value}")
    edges = result.trials["at_edge"].iloc[0]
    if isinstance(edges, str) and edges:
        reporter.line(f"  warning: at the edge of its range: {edges}; a wider one may be better")
    if best.epoch == best.max_epochs > 1:
        reporter.line("  warning: its best epoch is its last; more --max-epochs may be better")
    reporter.line(f"files: {result.path}")
