"""Search a model's hyper-parameters, and the result that a search leaves on disk."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from darec.api.checks import COLD_SHARE, Task, holdout_of
from darec.api.fit import has_model, ship
from darec.api.page import write_page
from darec.api.registry import check_cold_users, check_levels, spaces_for
from darec.api.result import SearchResult, result_at
from darec.api.search_checks import against_rejudge, check_arguments
from darec.api.warm_start import winners_for
from darec.api.winner import report_winner
from darec.core.objective import Metric, check_metric
from darec.data import split as splits
from darec.data.holdout import ColdPercent, SplitKind, TrainPercent
from darec.data.ratings import DomainPair
from darec.models import kind_of
from darec.reporter import LOGGER, LogReporter, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import connected, stays_connected
from darec.tuning.cluster.shares import Wanted
from darec.tuning.durability.lock import alone
from darec.tuning.study.algorithms import default_sampler
from darec.tuning.study.decay import with_stable_decay
from darec.tuning.study.halt import forget_stop
from darec.tuning.study.launch import (
    checked_share,
    computed_share,
    fitted_to_machine,
    lag_of,
)
from darec.tuning.study.plan import describe
from darec.tuning.study.protocol import Protocol, asks_for_more, check_finished
from darec.tuning.study.record import check_record, space_json
from darec.tuning.study.rejudge import affordable
from darec.tuning.study.request import Budget, Request, Stages
from darec.tuning.study.sizes import narrowed_to
from darec.tuning.study.study import Settings, StudyInterrupted
from darec.tuning.trial.names import Tracker
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES, Space

TRIALS = 50
"""Trials of a model's study by default."""


def search(
    model: str,
    pair: DomainPair,
    *,
    train: TrainPercent = 90,
    task: Task = "warm",
    cold_share: ColdPercent = COLD_SHARE,
    split: SplitKind = "random",
    trials: int | None = None,
    stage1_trials: int | None = None,
    max_epochs: int = 100,
    sampler: str | None = None,
    scheduler: str = "asha",
    stages: Stages = "paper",
    fix: Mapping[str, Any] | None = None,
    space: Space | str | Path | None = None,
    paper: bool = False,
    time_budget: float | None = None,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float | None = None,
    at_once: int | None = None,
    trial_limit: float = math.inf,
    stop_when_flat: bool = False,
    metric: Metric = "rmse",
    rejudge: int | None = None,
    reproducible: bool = False,
    address: str | None = None,
    insecure: bool = False,
    warm_start: str | Path | Sequence[str | Path] = (),
    seed: int = 0,
    out: str | Path = "results",
    resume: bool = False,
    fit: bool = True,
    tracker: Tracker | None = None,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Search a model's hyper-parameters; the lowest validation RMSE, or other ``metric``, wins.

    Test ratings have no part in it. Only the model that is shipped in the end (``fit``) is trained
    on every rating. Ray is started on this machine, or a cluster is joined; if you
    called ``ray.init`` before, your connection is used and kept.

    Args:
        model: A model's name (`darec.models`).
        pair: The ratings (`darec.load_pair`).
        train: Percent of the ratings that are not held out (warm task).
        task: ``warm`` holds out ratings of all users; ``cold_users`` all target ratings of some.
        cold_share: Percent of the users who are cold test users (task ``cold_users``).
        split: How the warm task divides the ratings: ``random`` as in the paper, ``temporal`` to
            test on the last ones, ``user-temporal`` on each user's last ones, ``file`` as the split
            file says that the pair was prepared with (docs/splits.md).
        trials: Trials of the model's study; 50 by default, and as many as before with ``resume``.
        stage1_trials: Trials of each first-stage study; a third of ``trials`` by default.
        max_epochs: Number of epochs after which a trial ends at the latest.
        sampler: How trials are drawn (`darec.tuning.study.algorithms.SAMPLERS`); by default ``gp``,
            and ``tpe`` for more than 200 trials.
        scheduler: How trials are stopped early (``SCHEDULERS`` there).
        stages: ``paper`` searches the first stage, then freezes it; ``joint`` searches both.
        fix: Hyper-parameters to hold fixed; those of the first stage as ``autorec/hidden``.
        space: Replaces the model's search space: a `Space`, or a file that defines ``SPACE``.
        paper: Whether to search AutoRec or DARec as the paper prints them, over its ranges alone,
            or CF-NADE as its authors have it, without a centre.
        time_budget: Seconds for all studies together; None: no limit.
        cpus_per_trial: CPUs of a trial, which has as many threads.
        gpus_per_trial: GPUs of a trial, possibly a fraction; by default what its memory needs.
        at_once: Most trials at once; by default as many as there is room for.
        trial_limit: Seconds of training after which a trial ends with its best epoch so far.
        stop_when_flat: Whether a study ends before its last trial when no other configuration is
            expected to gain as much as the validation ratings can tell (docs/performance.md).
        metric: What selects the epoch of a trial and the winner, on the validation ratings:
            ``rmse``, ``mae``, or ``ndcg@10`` of lists of ten unseen items (docs/paper.md).
        rejudge: How many of the best configurations are trained again on four other divisions of
            the ratings into training and validation ratings; the lowest mean then wins
            (docs/stack.md). This time is not part of ``time_budget``. 0: none. By default as many
            as cost at most a fifth of the search, five at most, and none with a time budget.
        reproducible: Whether the outcome must not depend on timing: with the same data, code,
            arguments and ``at_once``, every run of the search has the same trials and winner, on
            however many CPUs (docs/stack.md). Not with a GPU, whose sums differ in the last
            bits.
        address: The Ray cluster to join, ``auto`` for example; None: this machine.
        insecure: Whether to join also a cluster that asks for no token.
        warm_start: Folders or URIs of earlier searches, of this or other pairs. The winners of the
            same model are tried first, and are at most a third of the trials.
        seed: Root seed of the split, the sampler and the runs.
        out: Folder or URI (``s3://...``) of all results.
        resume: Whether to continue a search that is there already. With more ``trials`` than it
            had, it goes on even if it is finished.
        fit: Whether to train the winner on every rating in the end and write a model folder
            (`darec.fit`).
        tracker: Where to log each trial, too: ``mlflow`` (``MLFLOW_TRACKING_URI``, by default
            ``mlflow.db`` in the current folder) or ``wandb``.
        reporter: Receives the plan, progress and messages; by default they are logged.

    Returns:
        The result. After an interruption (Ctrl-C) of the trials it is not ``finished``, and its
        ``resume()`` continues the search.

    Raises:
        UserError: An argument is wrong, the folder holds another search, a machine fails a check
            or lacks room, or no trial reached a finite validation RMSE.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> result = darec.search("bias", pair, trials=2, max_epochs=2, out="results")
        >>> result.finished, len(result.trials)
        (True, 2)
    """
    out = str(out) if storage.is_uri(str(out)) else str(Path(out).resolve())
    arguments = {**locals(), "resume": True}
    check_arguments(arguments)
    holdout = holdout_of(train, task, cold_share, split)
    if holdout.cold_users is not None:
        check_cold_users(model)
    check_levels(model, pair)
    data = splits.split(pair, holdout, int(seed)).search
    max_epochs, seed = int(max_epochs), int(seed)
    time_budget = None if time_budget == math.inf else time_budget
    kind, (drawn, stage1) = kind_of(model), spaces_for(model, stages, fix, space, paper)
    root = storage.working_folder(out)
    again = partial(search, **arguments)
    result = result_at(out, root, pair.name, holdout, model, again, pair)
    before = result.recorded() if resume else None
    if before is not None:  # on resume, keep what darec chose at first
        sampler = sampler or before.sampler
        rejudge = before.rejudge if rejudge is None else rejudge
        trials = before.budget.trials if trials is None else trials
        stage1_trials = before.budget.stage1_trials if stage1_trials is None else stage1_trials
    trials = TRIALS if trials is None else int(trials)
    request = Request(
        model=model,
        kind=kind,
        pair=pair.name,
        train=train,
        seed=seed,
        data=data,
        data_digest=pair.digest,
        space=drawn,
        stage1=stage1,
        budget=Budget(
            trials=trials if drawn.space else 1,
            stage1_trials=max(1, trials // 3) if stage1_trials is None else int(stage1_trials),
            max_epochs=1 if kind.whole_fit else max_epochs,
            time_budget=time_budget,
        ),
        sampler=sampler or default_sampler(max(trials, int(stage1_trials or 0))),
        scheduler=scheduler,
        stages=stages,
        fix=dict(fix or {}),
        paper=paper,
        split=split,
        stop_when_flat=stop_when_flat,
        metric=metric,
        rejudge=rejudge or 0,
        reproducible=reproducible,
        winners=winners_for(model, warm_start) if before is None else before.winners,
        folder=result.folder,
        storage=result.path,
    )
    if rejudge is None and not against_rejudge(arguments):
        request = replace(request, rejudge=affordable(request))
    if space is None and model in SPACES:  # a space of the user's own is left as it is
        request = with_stable_decay(request)
    if before is not None:
        request = narrowed_to(request, before.narrowed)
    stages_data = [data]
    if stage1 is not None:
        stages_data += [request.stage1_data, request.stage1_data.swapped()]
    for each in stages_data:
        check_metric(metric, each)
    reporter = reporter or LogReporter()
    if not storage.is_uri(out):  # the files of a URI are not here yet
        check_record(request, resume)
    if result.finished and not asks_for_more(request):
        check_finished(request)
        _finish(result, pair, fit, reporter)
    else:
        with connected(address, insecure=insecure) as joined:
            wanted = Wanted(cpus_per_trial, gpus_per_trial, at_once, joined)
            if before is None:
                request = fitted_to_machine(request, wanted)
            slots = computed_share(request, wanted)
            cache = ClusterCache()
            settings = Settings(
                sampler=request.sampler,
                scheduler=scheduler,
                max_epochs=request.budget.max_epochs,
                slots=slots,
                seed=seed,
                cache=cache,
                trial_limit=trial_limit,
                reporter=reporter,
                tracker=tracker,
            )
            try:
                recorded = _recorded(arguments)
                ended = _search(request, wanted, settings, resume, recorded)
                result = replace(result, interrupted=not ended)
                _finish(result, pair, fit, reporter, cache)
            finally:
                if stays_connected():  # otherwise the cache ends with the connection
                    cache.close()
    return result


def _recorded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `search` as JSON values, with the pair's name for the pair."""
    left_out = ("reporter", "resume", "fit", "tracker")
    values = {name: value for name, value in arguments.items() if name not in left_out}
    values |= {"pair": arguments["pair"].name, "fix": dict(arguments["fix"] or {})}
    if isinstance(values["space"], Space):
        values["space"] = space_json(values["space"])
    text: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return {name: "inf" if value == math.inf else value for name, value in text.items()}


def _search(
    request: Request,
    wanted: Wanted,
    settings: Settings,
    resume: bool,
    arguments: dict[str, Any],
) -> bool:
    """Check the machines and run all studies; return whether they came to their end."""
    for line in describe(request, settings):
        settings.reporter.line(line)
    with alone(request.folder, request.storage):
        forget_stop(request.folder)  # what was asked of an earlier run does not count
        if storage.is_uri(request.storage):
            storage.fetch(request.storage, request.folder)
        check_record(request, resume)  # another search may have begun, or be at the URI
        share = checked_share(request, wanted, settings.slots, settings.reporter)
        lag = lag_of(request, wanted.at_once or share.concurrent)
        request, settings = replace(request, lag=lag), replace(settings, lag=lag, slots=share)
        publish = storage.publisher(request.folder, request.storage)
        ended = True
        try:
            Protocol(request, settings, resume, publish).run(arguments)
        except StudyInterrupted:
            LOGGER.debug("interrupted: %s", request.folder)
            publish()
            ended = False
        finally:
            forget_stop(request.folder)
        write_page(request.folder, request.storage)
    return ended


def _finish(
    result: SearchResult,
    pair: DomainPair,
    fit: bool,
    reporter: Reporter,
    cache: ClusterCache | None = None,
) -> None:
    """Report the winner of a finished search, and write its model folder unless there is one."""
    if result.finished:
        report_winner(result, reporter)
        if fit and not has_model(result, of_this_winner=True):
            ship(result, pair, reporter, cache)
