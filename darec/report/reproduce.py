"""Runs the searches behind the paper's tables and figures, and writes one page about them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from darec.api.checks import check_count, check_gpus
from darec.data.holdout import ColdPercent, Holdout, TrainPercent
from darec.data.pairs import PAIRS
from darec.data.ratings import DomainPair
from darec.data.shuffled import prepare_shuffled, shuffle_source
from darec.data.store import obtain, pair_file
from darec.errors import UserError
from darec.report.matrix.cells import Budget, Cell, distinct
from darec.report.matrix.plan import describe
from darec.report.matrix.request import Request, What
from darec.report.matrix.results import Results, Todo
from darec.report.matrix.searched import models_searched, pairs_searched
from darec.report.rendering.page import write_report
from darec.report.rendering.provenance import request_in
from darec.report.running.runner import Runner, Status
from darec.report.running.step import Place
from darec.report.spaces import present_spaces
from darec.reporter import LOGGER, LogReporter, Reporter
from darec.tuning.cluster.connection import (
    check_address,
    cluster_address,
    cluster_cpus,
    connected,
)
from darec.tuning.durability.lock import folder_locked

CPUS_PER_SEARCH = 8
"""One search runs at a time for this many CPUs of the cluster."""
LEAST_AT_ONCE = 2
"""At least this many searches run side by side on any cluster."""


def reproduce(
    what: What,
    pairs: Sequence[str] = (),
    models: Sequence[str] = (),
    train: Sequence[TrainPercent] = (90, 80),
    cold_share: ColdPercent = 20,
    trials: int = 50,
    stage1_trials: int | None = None,
    max_epochs: int = 100,
    seeds: int = 5,
    at_once: int | None = None,
    address: str | None = None,
    insecure: bool = False,
    data: Path | str = "data",
    out: Path | str = "results",
    gpus_per_trial: float | None = None,
    synthetic: bool = False,
    plan: bool = False,
    page: bool = False,
    reporter: Reporter | None = None,
    argv: Sequence[str] = (),
) -> Path | None:
    """Run the missing searches and scores, and write the page. The same call continues later.

    The page also shows what earlier calls with the same ``out`` put there, if only ``what`` and the
    budget were others.

    Args:
        what: ``table2``, ``fig2``, ``fig3``, ``cold_users`` or ``all``.
        pairs: Names of pairs. If empty, the paper's four; with ``page``, those that were searched.
        models: Only these models and the trivial baselines; all models if empty.
        train: Percent of the ratings that are not held out. Fig. 2 and the sections beyond the
            paper always have 90.
        cold_share: Percent of the users who are cold test users in the section on them.
        trials: Trials of every model's search.
        stage1_trials: Trials of each stage-1 study; a third of ``trials`` if None.
        max_epochs: Most epochs of a trial.
        seeds: Splits that score a winner, each with a training run of its own. Tests need 5.
        at_once: Searches side by side; chosen by the cluster's CPUs if None.
        address: Ray cluster to join; None starts Ray on this machine.
        insecure: Whether to join also a cluster that asks for no token.
        data: Folder of prepared pairs.
        out: Folder of all results, which every node sees.
        gpus_per_trial: GPUs of a trial; chosen by its memory if None.
        synthetic: Use the stand-ins with Table 1's counts.
        plan: Only say what would run, and for how long.
        page: Run nothing, and write the page from the scores that exist, of searches with any
            budget, also of models that the paper does not have.
        reporter: Receives messages and progress; they are logged if None.
        argv: The command line, which provenance.json records.

    Returns:
        The path of the page, or None with ``plan``.

    Raises:
        UserError: An argument is wrong. Also raised once the page is written, if searches failed.

    Examples:
        >>> reproduce("fig2", ["toys_auto"], synthetic=True, plan=True)
    """
    if "://" in str(out):
        raise UserError(f"--out must be a folder, since the page is made from files, but got {out}")
    for name, count in (("trials", trials), ("max-epochs", max_epochs), ("seeds", seeds)):
        check_count(f"--{name}", count)
    for name, optional in (("stage1-trials", stage1_trials), ("at-once", at_once)):
        check_count(f"--{name}", optional, optional=True)
    check_gpus("--gpus-per-trial", gpus_per_trial)
    if address is not None:
        check_address(address)
    reporter, out, data = reporter or LogReporter(), Path(out), Path(data)
    request = Request(
        what=what,
        pairs=tuple(dict.fromkeys(pairs)) or tuple(PAIRS),
        models=() if page else tuple(dict.fromkeys(models)),
        train=tuple(dict.fromkeys(train)),
        synthetic=synthetic,
        cold_share=cold_share,
        budget=Budget(trials, stage1_trials or max(1, trials // 3), max_epochs, seeds),
        present=page,
    )
    if page:
        request = _of_what_is_there(request, out, data, tuple(pairs), tuple(dict.fromkeys(models)))
    prepared = {
        name: obtain(name, data, synthetic, reporter)
        for name in request.pairs
        if not plan or synthetic or name not in PAIRS or pair_file(data, name).is_file()
    }
    digests = _digests(request, prepared)
    cells = distinct(request.cells())
    results = Results(out, request.budget, digests, present_spaces, any_budget=page)
    missing = {cell: results.missing(cell) for cell in cells}
    todo = [(c, steps) for c, steps in missing.items() if steps and c not in results.refused]
    failures = dict(results.refused)
    if len(failures) == len(cells):
        raise UserError(next(iter(failures.values())))
    for message in results.others(cells):
        LOGGER.warning("%s; darec evaluate --fresh scores them again", message)
    if not page:
        reporter.line("Plan: " + "\n".join(describe(cells, todo, failures, request, prepared)))
    if plan:
        return None

    earlier = request_in(out / "report")
    shown = request if earlier is None else request.with_earlier(earlier)
    if earlier is not None and shown is request:
        reporter.line(f"the page no longer shows {earlier.what}, asked for with other options")
    with folder_locked(out / "report"):
        try:
            if todo and not page:
                if what == "all":
                    for pair in prepared.values():
                        prepare_shuffled(pair, data)
                with connected(address, insecure=insecure):
                    cpus = int(cluster_cpus())
                    n_at_once = at_once or max(LEAST_AT_ONCE, cpus // CPUS_PER_SEARCH)
                    share = cpus // n_at_once or None  # None: as many trials as there is room for
                    place = Place(
                        out, data.resolve(), cluster_address(), share, gpus_per_trial, insecure
                    )
                    failures |= _run(request.budget, todo, place, n_at_once, reporter)
        finally:
            digests, any_budget = _digests(shown, prepared), page or shown.mixed
            results = Results(out, request.budget, digests, present_spaces, any_budget)
            path = write_report(shown, results, prepared, out / "report", argv, failures)
            for cell, reason in failures.items():
                reporter.line(f"{'left out' if page else 'failed'}: {cell.name}: {reason}")
            reporter.line(f"page:  {path}")
    if failures and not page:
        raise UserError(f"{len(failures)} of {len(cells)} searches have no score; run it again")
    return path


def _of_what_is_there(
    request: Request, out: Path, data: Path, pairs: tuple[str, ...], models: tuple[str, ...]
) -> Request:
    """Return a request for the finished searches of a folder, also of models without a cell.

    Raises `UserError` if no pair is named and there is no finished search of a prepared one.
    """
    warm = [Holdout(percent) for percent in request.train]
    holdouts = [*warm, Holdout(90, request.cold_share)]
    found = pairs or pairs_searched(out, data, holdouts, request.synthetic)
    if not found:
        raise UserError(f"{out}: no finished search of a prepared pair is in this folder")
    for name in found:
        if not request.synthetic and not pair_file(data, name).is_file():
            raise UserError(f"--page: {name} is not prepared under {data}; darec prepare does it")
    request = replace(request, pairs=tuple(dict.fromkeys(found)))
    own = {cell.model for cell in request.cells() if cell.is_plain}
    there = models_searched(out, map(request.label, found), warm)
    more = [name for name in there if name not in own and (name in models or not models)]
    return replace(request, more=tuple(more), models=models)


def _digests(request: Request, prepared: Mapping[str, DomainPair]) -> dict[str, str]:
    """Return the digests of all pairs' ratings, by label."""
    digests = {request.label(name): pair.digest for name, pair in prepared.items()}
    if request.shows("all"):
        controls = [shuffle_source(pair) for pair in prepared.values()]
        digests |= {control.name: control.digest for control in controls}
    return digests


def _run(
    budget: Budget, todo: Todo, place: Place, at_once: int, reporter: Reporter
) -> dict[Cell, str]:
    """Run what is missing, report each cell's start and end, and return why cells failed."""
    lock, started = threading.Lock(), set[Cell]()  # cells report from threads of their own
    with reporter.progress("searches", len(todo)) as advance:

        def on_status(cell: Cell, status: Status) -> None:
            ended = status in ("done", "failed", "stopped")
            with lock:
                if ended or cell not in started:
                    reporter.line(f"{status if ended else 'started'}: {cell.name}")
                started.add(cell)
                if ended:
                    advance()

        try:
            return Runner(budget, place, on_status).run(todo, at_once)
        except KeyboardInterrupt:
            reporter.line("interrupted; run the same command again to continue")
            raise
