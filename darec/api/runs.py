"""The training runs that score winners: what each is, and where its scores are kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

from darec.api.result import SearchResult
from darec.core.recommender import ColdPolicy, DivergedError
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.evaluation import scores
from darec.evaluation.cold_users import ColdUserScore, cold_key, evaluate_cold_users
from darec.evaluation.evaluate import evaluate
from darec.evaluation.scores import Score
from darec.models import kind_of
from darec.models.best import Best
from darec.reporter import LOGGER, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import local_cpus
from darec.tuning.cluster.pool import pool
from darec.tuning.trial.travel import send_by_value


class Run(Protocol):
    """One training run of a winner."""

    @property
    def winner(self) -> SearchResult:
        """The search whose winner is trained."""

    @property
    def best(self) -> Best:
        """The winner."""

    @property
    def run_seed(self) -> int:
        """The seed of the run."""

    def known(self, read: Sequence[Any]) -> list[Any]:
        """Return the run's scores from those that were read from the file; none if incomplete."""

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of the function that trains and scores."""


@dataclass(frozen=True)
class ScoreRun:
    """A run that has a test score under each cold policy."""

    winner: SearchResult
    best: Best
    split_seed: int
    run_seed: int
    refit: bool
    device: str

    def known(self, read: Sequence[Score]) -> list[Score]:
        """Return the run's scores from those of the file; none unless all are there."""
        best = self.best
        values = {
            "train": best.train,
            "split_seed": self.split_seed,
            "run_seed": self.run_seed,
            "refit": self.refit,
            "max_epochs": best.max_epochs,
        }
        key = scores.run_key(best.data_digest, best.model, best.config, values)
        own = {score.cold: score for score in read if score.key[:-1] == key}
        return list(own.values()) if own.keys() == set(get_args(ColdPolicy)) else []

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of `darec.evaluation.evaluate.evaluate`."""
        kind = send_by_value(kind_of(self.best.model))
        seeds = self.split_seed, self.run_seed
        return (kind, self.best, pair, *seeds, self.device, self.refit)


@dataclass(frozen=True)
class ColdUsersRun:
    """A run without the target ratings of some users, which has one score on them."""

    winner: SearchResult
    best: Best
    run_seed: int

    def known(self, read: Sequence[ColdUserScore]) -> list[ColdUserScore]:
        """Return the run's score from those of the file, if it is there."""
        key = cold_key(self.best, self.run_seed)
        return [score for score in read if score.key == key][-1:]

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of `darec.evaluation.cold_users.evaluate_cold_users`."""
        return send_by_value(kind_of(self.best.model)), self.best, pair, self.run_seed


@dataclass(frozen=True)
class ScoreKind:
    """What runs measure, and where it is kept."""

    function: Callable[..., Any]
    """Trains and scores one run."""
    type: type[Any]
    """The dataclass of a score."""
    file: str
    """The name of the file of scores under ``<out>``."""


TEST_SCORES = ScoreKind(evaluate, Score, "scores.jsonl")
COLD_USER_SCORES = ScoreKind(evaluate_cold_users, ColdUserScore, "cold_users.jsonl")


@dataclass(frozen=True)
class Machines:
    """Where runs are done, and what each gets."""

    address: str | None
    at_once: int | None
    """Most runs at once; None: as many as there is room for, on this machine's GPU one."""
    threads: int = 1
    gpus: float = 0.0

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
    runs: Sequence[Run], what: ScoreKind, pair: DomainPair, machines: Machines, reporter: Reporter
) -> list[list[Any]]:
    """Return every run's scores: those in the file, or measured now. A failed run has none.

    Ray is used only if something is to be measured. Each run's scores are written as it ends, and
    copied to a URI in the end, after an interruption too.
    """
    files = {run.winner.path: _scores_file(run.winner, what.file) for run in runs}
    read = {path: scores.read(path, what.type) for path in files.values()}
    found = [run.known(read[files[run.winner.path]]) for run in runs]
    missing = [k for k, known in enumerate(found) if not known]
    workers = max(1, machines.workers(len(missing)))
    models = ", ".join(dict.fromkeys(run.best.model for run in runs))
    reporter.line(
        f"Plan: {len(missing)} of {len(runs)} runs of {models} on {pair.name} "
        f"({'GPU' if machines.gpus else 'CPU'}), {workers} at once"
    )
    if not missing:
        return found
    calls = [runs[k].arguments(pair) for k in missing]
    try:
        with (
            pool(machines.address, workers, machines.threads, machines.gpus) as run_all,
            reporter.progress("runs", len(missing)) as advance,
        ):
            for position, future in run_all(what.function, calls):
                k = missing[position]
                try:
                    value = future.result()
                except (DivergedError, UserError) as error:
                    model, seed = runs[k].best.model, runs[k].run_seed
                    LOGGER.error("%s, seed %d: no score: %s", model, seed, error)
                else:
                    found[k] = value if isinstance(value, list) else [value]
                    scores.append(files[runs[k].winner.path], found[k])
                advance()
    finally:
        for winner in {run.winner.out: run.winner for run in runs}.values():
            path = files[winner.path]
            if storage.is_uri(winner.path) and path.is_file():
                storage.publish_lines(path, winner.out)
    return found


def _scores_file(winner: SearchResult, name: str) -> Path:
    """Return the local file of scores, fetched first if results are kept at a URI."""
    path = winner.root / name
    if storage.is_uri(winner.path) and not path.is_file():
        storage.fetch_file(storage.join(winner.out, name), path)
    return path
