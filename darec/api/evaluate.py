"""Score winners on test ratings over several seeds, and compare them with the baselines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import torch

from darec.api.result import SearchResult, load_result
from darec.core.recommender import ColdPolicy, DivergedError
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.evaluation import cold_users, scores, summary
from darec.evaluation.cold_users import ColdUserScore, cold_key
from darec.evaluation.evaluate import evaluate as score_run
from darec.evaluation.scores import Score
from darec.models import kind_of
from darec.models.best import Best
from darec.reporter import LogReporter, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import local_cpus
from darec.tuning.cluster.pool import RunAll, pool
from darec.tuning.trial.travel import send_by_value

Results = SearchResult | str | Path | Sequence[SearchResult | str | Path]
"""One or more finished searches, each as a `SearchResult` or as the study's folder or URI."""
Seeds = tuple[int, int]
"""The seed of a split and the seed of a training run."""


def evaluate(
    result: Results,
    pair: DomainPair,
    *,
    seeds: int = 5,
    same_split: bool = False,
    refit: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 1,
    at_once: int | None = None,
    address: str | None = None,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """Train each winner once per seed, and score it on the test ratings of the seed's split.

    The first seed has the split that was searched on, the others have splits of their own. Scores
    are appended to ``<out>/scores.jsonl``. A score that the file has already is not measured again.

    Args:
        result: A finished search, or several.
        pair: The ratings that were searched on.
        seeds: Number of seeds. Each decides a split and a training run.
        same_split: Whether every seed keeps the searched split and decides only the run.
        refit: Whether to train again on training and validation ratings before scoring.
        device: Where to train.
        threads: CPU threads of each run.
        at_once: Most runs at once; by default as many as the CPUs allow, or one on a GPU.
        address: The Ray cluster to join; None: this machine.
        reporter: Receives the plan, progress and tables; by default they are logged.

    Returns:
        One row per model, seed and cold policy, with the columns of
        `darec.evaluation.scores.Score`.

    Raises:
        UserError: The search is not finished, the ratings are not those it saw, or a run has no
            score.

    Example:
        >>> import darec
        >>> scores = darec.evaluate(result, pair, seeds=5)  # doctest: +SKIP
        >>> scores.groupby(["model", "cold"])["test_rmse"].agg(["mean", "std"])  # doctest: +SKIP
    """
    if device == "cuda" and address is None and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available here; leave it out")
    reporter, winners = reporter or LogReporter(), _winners(result, pair)
    room = 1 if device == "cuda" else max(1, local_cpus() // threads)
    workers = min(seeds, at_once or (room if address is None else seeds))
    all_scores: list[Score] = []
    n_failed = 0
    with pool(address, workers, threads, float(device == "cuda")) as run_all:
        for winner in winners:
            best = winner.best
            reporter.line(
                f"Plan: {best.model} on {pair.name}, {best.train} % training: {seeds} seeds x "
                f"<= {best.max_epochs} epochs on {device}, {workers} at once; validation RMSE in "
                f"the search: {best.valid_rmse:.4f}"
            )
            roots = range(best.seed, best.seed + seeds)
            runs = [(best.seed if same_split else root, root) for root in roots]
            with _scores_file(winner, "scores.jsonl") as path:
                kept = _scored(run_all, best, pair, runs, refit, device, path, reporter)
            n_failed += len(runs) - len(kept)
            own = [score for each in kept.values() for score in each]
            all_scores += own
            _report(kept, reporter)
    if len({score.model for score in all_scores}) > 1:
        reporter.table(f"RMSE on {pair.name}, mean ± sd", summary.comparison(all_scores))
        for winner in winners:
            reporter.line(f"{winner.best.model}: {winner.best.config}")
    reporter.line(f"scores: {storage.join(winners[0].out, 'scores.jsonl')}")
    if n_failed:
        raise UserError(f"{n_failed} of {seeds * len(winners)} runs have no score")
    return summary.frame(all_scores)


def evaluate_cold_users(
    result: Results,
    pair: DomainPair,
    *,
    seeds: int = 5,
    at_once: int | None = None,
    address: str | None = None,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """Withhold all target ratings of a tenth of the users and predict them from the source.

    Each winner is trained twice: with the source as it is, and with the source's users shuffled.
    A shuffled source says nothing about the withheld users. Scores are appended to
    ``<out>/cold_users.jsonl``.

    Args:
        result: A finished search, or several, of models that can predict for such users.
        pair: The ratings that were searched on.
        seeds: Number of seeds. Each decides a split, the withheld users and a training run.
        at_once: Most runs at once; by default one for each CPU.
        address: The Ray cluster to join; None: this machine.
        reporter: Receives the plan, progress and tables; by default they are logged.

    Returns:
        One row per model and seed, with the columns of
        `darec.evaluation.cold_users.ColdUserScore`.

    Raises:
        UserError: The search is not finished, the ratings are not those it saw, or a run has no
            score.
    """
    reporter, winners = reporter or LogReporter(), _winners(result, pair)
    all_scores: list[ColdUserScore] = []
    n_failed = 0
    workers = min(seeds, at_once or (local_cpus() if address is None else seeds))
    with pool(address, workers, threads=1) as run_all:
        for winner in winners:
            best = winner.best
            reporter.line(
                f"Plan: {best.model} on {pair.name}: {seeds} seeds, each with the source as it is "
                f"and with its users shuffled, {workers} at once"
            )
            with _scores_file(winner, "cold_users.jsonl") as path:
                kept = _scored_cold(run_all, best, pair, seeds, path, reporter)
            n_failed += seeds - len(kept)
            all_scores += kept
    if all_scores:
        title = f"cold users of {pair.name}, {all_scores[0].train} % training"
        reporter.table(title, summary.cold_table(all_scores))
    reporter.line(f"scores: {storage.join(winners[0].out, 'cold_users.jsonl')}")
    if n_failed:
        raise UserError(f"{n_failed} of {seeds * len(winners)} runs have no score")
    return summary.frame(all_scores)


def _winners(result: Results, pair: DomainPair) -> list[SearchResult]:
    """Return the searches as results; raises `UserError` if one used other ratings."""
    several = [result] if isinstance(result, SearchResult | str | Path) else result
    found = [each if isinstance(each, SearchResult) else load_result(each) for each in several]
    for each in found:
        if each.best.data_digest != pair.digest:
            told = "its ratings are not those the search saw; search it again"
            raise UserError(f"{pair.name}: {told}")
    return found


@contextmanager
def _scores_file(winner: SearchResult, name: str) -> Iterator[Path]:
    """Yield the local file of scores; at the end, copy its lines to the URI if there is one."""
    path = winner.folder.parents[1] / name
    try:
        yield path
    finally:  # after an interruption too
        if storage.is_uri(winner.path) and path.is_file():
            storage.publish_lines(path, winner.out)


def _scored(
    run_all: RunAll,
    best: Best,
    pair: DomainPair,
    runs: list[Seeds],
    refit: bool,
    device: str,
    path: Path,
    reporter: Reporter,
) -> dict[Seeds, list[Score]]:
    """Return the scores of each run, read from the file or measured now; failed runs are absent."""
    read, found = scores.read(path, Score), {}
    for run in runs:
        key = _run_key(best, run, refit)
        known = {score.cold: score for score in read if score.key[:-1] == key}
        if known.keys() == set(get_args(ColdPolicy)):
            found[run] = list(known.values())
    missing = [run for run in runs if run not in found]
    kind = send_by_value(kind_of(best.model))
    calls = [(kind, best, pair, *run, device, refit) for run in missing]
    for run, measured in _run_missing(run_all, score_run, calls, missing, best.model, reporter):
        found[run] = measured
        scores.append(path, measured)
    return {run: found[run] for run in runs if run in found}


def _scored_cold(
    run_all: RunAll, best: Best, pair: DomainPair, seeds: int, path: Path, reporter: Reporter
) -> list[ColdUserScore]:
    """Return a winner's scores on cold users, read from the file or measured now."""
    wanted = range(best.seed, best.seed + seeds)
    read = {score.key: score for score in scores.read(path, ColdUserScore)}
    found = {seed: read[key] for seed in wanted if (key := cold_key(best, seed)) in read}
    missing = [seed for seed in wanted if seed not in found]
    kind = send_by_value(kind_of(best.model))
    calls = [(kind, best, pair, seed) for seed in missing]
    function = cold_users.evaluate_cold_users
    for seed, measured in _run_missing(run_all, function, calls, missing, best.model, reporter):
        found[seed] = measured
        scores.append(path, [measured])
    return [found[seed] for seed in wanted if seed in found]


def _run_missing(
    run_all: RunAll,
    function: Any,
    calls: list[tuple[Any, ...]],
    names: Sequence[Any],
    model: str,
    reporter: Reporter,
) -> Iterator[tuple[Any, Any]]:
    """Yield each call's name and value as it ends; report a call that has no score."""
    if not calls:
        return
    with reporter.progress(model, len(calls)) as advance:
        for position, future in run_all(function, calls):
            try:
                yield names[position], future.result()
            except (DivergedError, UserError) as error:
                reporter.line(f"{model}, {names[position]}: no score: {error}")
            advance()


def _run_key(best: Best, run: Seeds, refit: bool) -> tuple[Any, ...]:
    values = {
        "train": best.train,
        "split_seed": run[0],
        "run_seed": run[1],
        "refit": refit,
        "max_epochs": best.max_epochs,
    }
    return scores.run_key(best.data_digest, best.model, best.config, values)


def _report(kept: dict[Seeds, list[Score]], reporter: Reporter) -> None:
    """Report each run's test RMSE, the means, and whether the model beats the bias baseline."""
    for (split_seed, run_seed), each in kept.items():
        mark = "*" if each[0].searched_split else " "
        rmse = ", ".join(f"{score.test_rmse:.4f} (cold={score.cold})" for score in each)
        reporter.line(
            f"  split {split_seed}{mark} run {run_seed}: epoch {each[0].epoch}, test RMSE {rmse}"
        )
    own = [score for each in kept.values() for score in each]
    if own:
        reporter.line("  * the split whose validation ratings chose the configuration")
        reporter.table(summary.title(own), summary.table(own))
        reporter.line(summary.verdict(own))
