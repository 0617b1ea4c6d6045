"""The training runs that score winners: what each is, and where its scores are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

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
from darec.reporter import Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import local_cpus
from darec.tuning.cluster.pool import pool
from darec.tuning.trial.travel import send_by_value


@dataclass(frozen=True)
class ScoreRun:
    """One training run of a winner, which has a score under each cold policy."""

    winner: SearchResult
    best: Best
    split_seed: int
    run_seed: int
    refit: bool
    device: str
    file = "scores.jsonl"
    function = staticmethod(evaluate)

    def known(self, read: Sequence[Score]) -> list[Score]:
        """Return the run's scores from those of the file; none unless all are there."""
        values = {
            "train": self.best.train,
            "split_seed": self.split_seed,
            "run_seed": self.run_seed,
            "refit": self.refit,
            "max_epochs": self.best.max_epochs,
        }
        best = self.best
        key = scores.run_key(best.data_digest, best.model, best.config, values)
        own = {score.cold: score for score in read if score.key[:-1] == key}
        return list(own.values()) if own.keys() == set(get_args(ColdPolicy)) else []

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of `function`."""
        kind = send_by_value(kind_of(self.best.model))
        seeds = self.split_seed, self.run_seed
        return (kind, self.best, pair, *seeds, self.device, self.refit)


@dataclass(frozen=True)
class ColdUsersRun:
    """One training run of a winner without the target ratings of some users."""

    winner: SearchResult
    best: Best
    run_seed: int
    file = "cold_users.jsonl"
    function = staticmethod(evaluate_cold_users)

    def known(self, read: Sequence[ColdUserScore]) -> list[ColdUserScore]:
        """Return the run's score from those of the file, if it is there."""
        key = cold_key(self.best, self.run_seed)
        return [score for score in read if score.key == key][-1:]

    def arguments(self, pair: DomainPair) -> tuple[Any, ...]:
        """Return the arguments of `function`."""
        return send_by_value(kind_of(self.best.model)), self.best, pair, self.run_seed


def measure(
    runs: Sequence[Any],
    found: list[list[Any]],
    pair: DomainPair,
    workers: int,
    pool_options: tuple[str | None, int, float],
    where: str,
    reporter: Reporter,
) -> list[list[Any]]:
    """Return every run's scores: those found, or measured now. A failed run has none.

    Ray is used only if something is to be measured. Each run's scores are written as it ends.
    """
    missing = [position for position, each in enumerate(found) if not each]
    workers = min(workers, max(1, len(missing)))
    models = ", ".join(dict.fromkeys(run.best.model for run in runs))
    reporter.line(
        f"Plan: {len(missing)} of {len(runs)} runs of {models} on {pair.name} {where}, "
        f"{workers} at once"
    )
    if not missing:
        return found
    address, threads, gpus = pool_options
    calls = [runs[position].arguments(pair) for position in missing]
    with (
        pool(address, workers, threads, gpus) as run_all,
        reporter.progress("runs", len(missing)) as advance,
    ):
        for k, future in run_all(runs[0].function, calls):
            run = runs[missing[k]]
            try:
                value = future.result()
            except (DivergedError, UserError) as error:
                reporter.line(f"{run.best.model}, seed {run.run_seed}: no score: {error}")
            else:
                found[missing[k]] = value if isinstance(value, list) else [value]
                _keep(run.winner, run.file, found[missing[k]])
            advance()
    return found


def _keep(winner: SearchResult, name: str, new: list[Any]) -> None:
    """Append scores to the local file, and to its copy at the URI if there is one."""
    path = winner.root / name
    scores.append(path, new)
    if storage.is_uri(winner.path):
        storage.publish_lines(path, winner.out)


def scores_file(winner: SearchResult, name: str) -> Path:
    """Return the local file of scores, fetched first if results are kept at a URI."""
    path = winner.root / name
    if storage.is_uri(winner.path) and not path.is_file():
        storage.fetch_file(storage.join(winner.out, name), path)
    return path


def room(device: str, threads: int, address: str | None) -> int:
    """Return how many runs fit at once: on a cluster all may start and wait for a free node."""
    if address is not None:
        return 10**6
    return 1 if device == "cuda" else max(1, local_cpus() // threads)
