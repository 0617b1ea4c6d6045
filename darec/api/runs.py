"""The training runs that score winners: what each is, and where its scores are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from darec.api.result import SearchResult
from darec.core.cold import ColdPolicy
from darec.core.config import parse
from darec.core.recommender import DivergedError
from darec.data.folds import Fold
from darec.data.ratings import DomainPair
from darec.data.split import split
from darec.errors import UserError
from darec.evaluation import kept
from darec.evaluation.evaluate import evaluate
from darec.evaluation.kept import Key
from darec.evaluation.origin import Origin, compared, this_origin
from darec.evaluation.scores import Score, run_key
from darec.files import open_to_append
from darec.models import STACK, kind_of
from darec.models.best import Best
from darec.models.plugins import OUTSIDE
from darec.reporter import LOGGER, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import local_cpus
from darec.tuning.cluster.pool import pool
from darec.tuning.cluster.shares import memory_of
from darec.tuning.study.model_code import code_of_all
from darec.tuning.trial.travel import send_by_value

SCORES = "scores.jsonl"
"""The name of the file of scores under ``<out>``."""


@dataclass(frozen=True)
class ScoreRun:
    """One training run of a winner, which has a test score under each cold policy."""

    winner: SearchResult
    best: Best
    split_seed: int
    run_seed: int
    refit: bool
    device: str
    fold: Fold | None = None
    """The fold of a cross-validation; None: the split is of the same kind as the search's."""

    @property
    def keys(self) -> list[Key]:
        """A key for each cold policy."""
        key = run_key(self.best, self.split_seed, self.run_seed, self.refit, self.fold)
        return [(*key, policy) for policy in get_args(ColdPolicy)]

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of `darec.evaluation.evaluate.evaluate`."""
        kind = send_by_value(kind_of(self.best.model))
        seeds = self.split_seed, self.run_seed
        outside = [name for name in self.models[1:] if name in OUTSIDE]
        members = {name: send_by_value(OUTSIDE[name]) for name in outside}
        options = self.device, self.refit, self.code, self.fold, members
        return (kind, self.best, pair, *seeds, *options)

    @property
    def models(self) -> list[str]:
        """The winner's model, and the models of a stack's members."""
        members = self.best.config["members"] if self.best.model == STACK else []
        return [self.best.model, *(member["model"] for member in members)]

    @property
    def code(self) -> str:
        """A digest of the code that the run needs."""
        return code_of_all(self.models)


@dataclass(frozen=True)
class Machines:
    """Where runs are done, and what each gets."""

    address: str | None
    at_once: int | None
    """Most runs at once; None: as many as there is room for, on this machine's GPU one."""
    threads: int = 1
    gpus: float = 0.0
    insecure: bool = False
    """Whether to join also a cluster that asks for no token."""

    def workers(self, n_runs: int) -> int:
        """Return how many of some runs are done at once; on a cluster they wait for free nodes."""
        if self.at_once is not None:
            return min(n_runs, self.at_once)
        if self.address is not None:
            return min(n_runs, MOST_WAITING)
        return min(n_runs, 1 if self.gpus else max(1, local_cpus() // self.threads))


MOST_WAITING = 256
"""Runs that wait at once for free nodes of a cluster."""


def measure(
    runs: Sequence[ScoreRun],
    pair: DomainPair,
    machines: Machines,
    reporter: Reporter,
    fresh: bool = False,
) -> list[list[Score]]:
    """Return every run's scores: those in the file, or measured now. A failed run has none.

    With ``fresh`` those in the file do not count. Otherwise the reporter says where they come
    from, and a warning is logged if that is other code, other libraries or another device.
    Ray is used only if something is to be measured. Each run's scores are written, and copied to a
    URI, as it ends.
    """
    files = {run.winner.path: _scores_file(run.winner) for run in runs}
    places = {files[run.winner.path]: storage.join(run.winner.out, SCORES) for run in runs}
    known = {path: kept.by_key(kept.read(path, Score, at)) for path, at in places.items()}
    found: list[list[Score]] = [[] for _ in runs]
    if not fresh:
        origins = [this_origin(kind_of(run.best.model), run.device, run.code) for run in runs]
        for k, run in enumerate(runs):
            found[k] = kept.of_run(known[files[run.winner.path]], run.keys, origins[k])
        _report_kept(found, origins, reporter)
    missing = [k for k, own in enumerate(found) if not own]
    workers = max(1, machines.workers(len(missing)))
    models = ", ".join(dict.fromkeys(run.best.model for run in runs))
    first = runs[0].best
    label = first.holdout.label(pair.name)
    if not missing:
        reporter.line(f"All {len(runs)} runs of {models} on {label} have scores already")
        return found
    reporter.line(
        f"Plan: {len(missing)} of {len(runs)} runs of {models} on {label} "
        f"({'GPU' if machines.gpus else 'CPU'}), {workers} at once"
    )
    for path in {files[runs[k].winner.path] for k in missing}:
        open_to_append(path).close()  # refuses a link or a folder before hours of work
    calls = [runs[k].arguments(pair) for k in missing]
    try:
        with (
            pool(
                machines.address,
                workers,
                machines.threads,
                machines.gpus,
                _most_memory([runs[k].best for k in missing], pair),
                machines.insecure,
            ) as run_all,
            reporter.progress("runs", len(missing)) as advance,
        ):
            for position, future in run_all(evaluate, calls):
                k = missing[position]
                try:
                    found[k] = future.result()
                except (DivergedError, UserError) as error:
                    model, seed = runs[k].best.model, runs[k].run_seed
                    LOGGER.error("%s, seed %d: no score: %s", model, seed, error)
                else:
                    _keep(found[k], files[runs[k].winner.path], runs[k].winner)
                advance()
    finally:
        for path, winner in {files[run.winner.path]: run.winner for run in runs}.items():
            if storage.is_uri(winner.path) and path.is_file():
                storage.publish_lines(path, winner.out)
    return found


def _keep(scores: list[Score], path: Path, winner: SearchResult) -> None:
    """Write a run's scores, and copy them to their URI now: this process may be killed."""
    kept.append(path, scores)
    if storage.is_uri(winner.path):
        try:
            storage.publish_lines(path, winner.out)
        except UserError as error:
            LOGGER.warning("%s; they are copied again when the next run or the command ends", error)


def _most_memory(winners: Sequence[Best], pair: DomainPair) -> int:
    """Return an upper bound of the bytes of memory that training one of these winners takes."""
    first = winners[0]
    training = split(pair, first.holdout, first.seed).search.training
    kinds = [(kind_of(best.model), best.config) for best in winners]
    return max(memory_of(kind, parse(kind.config, config), training) for kind, config in kinds)


def _report_kept(
    found: Sequence[Sequence[Score]], here: Sequence[Origin], reporter: Reporter
) -> None:
    """Say how many runs keep their scores and from where; warn if that is not from here."""
    firsts = [(own[0], to) for own, to in zip(found, here, strict=True) if own]
    for (origin, differs), n in compared(firsts).items():
        reporter.line(f"kept the scores of {n} of {len(found)} runs ({origin})")
        if differs:
            message = "%d of %d runs keep scores of %s (%s); --fresh scores them again"
            LOGGER.warning(message, n, len(found), differs, origin)


def _scores_file(winner: SearchResult) -> Path:
    """Return the local file of scores, fetched first if results are kept at a URI."""
    path = winner.root / SCORES
    if storage.is_uri(winner.path) and not path.is_file():
        storage.fetch_file(storage.join(winner.out, SCORES), path)
    return path
