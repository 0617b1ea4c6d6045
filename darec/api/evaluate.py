"""Score winners on test ratings over several seeds, and compare them with the baselines."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from darec.api.checks import check_count, check_device
from darec.api.fit import refresh_cards
from darec.api.result import Results, SearchResult, searches_of
from darec.api.runs import SCORES, Machines, ScoreRun, measure
from darec.data.folds import Fold, split_by_fold
from darec.data.holdout import Holdout
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.evaluation import summary
from darec.evaluation.frame import frame
from darec.evaluation.headline import BOTH, headline
from darec.evaluation.origin import mixture
from darec.evaluation.scores import Score
from darec.reporter import LOGGER, LogReporter, Reporter
from darec.tuning import storage

SEEDS = 5
"""Seeds that score a winner by default."""


def evaluate(
    result: Results,
    pair: DomainPair,
    *,
    seeds: int | None = None,
    folds: int | None = None,
    fresh: bool = False,
    same_split: bool = False,
    refit: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 1,
    at_once: int | None = None,
    address: str | None = None,
    insecure: bool = False,
    reporter: Reporter | None = None,
) -> pd.DataFrame:
    """Train each winner for each seed, and score it on the test ratings of the seed's split.

    The split is that of the search's task; in the cold-user task each winner is trained once more
    with a source whose users are shuffled (docs/cold_users.md).

    The first seed has the split that was searched on, the others have splits of their own. A search
    of another split than ``random`` has one split: its seeds are training runs on it
    (docs/splits.md). Scores are appended to ``<out>/scores.jsonl``. A run that has scores there is
    not repeated. If it has several, scores of the present code and libraries are preferred, then
    the latest. A warning is logged if kept scores come from other code, libraries or devices, or if
    a mean mixes them.

    Args:
        result: A finished search, or several.
        pair: The ratings that were searched on.
        seeds: Number of seeds, by default 5. Each decides a split and a training run.
        folds: Cross-validate the configuration over this many folds instead of several seeds. Each
            rating is tested on once.
        fresh: Whether to measure again what the file has already.
        same_split: Whether every seed keeps the searched split and decides only the run.
        refit: Whether to train again on training and validation ratings before scoring.
        device: Where to train.
        threads: CPU threads of each run.
        at_once: Most runs at once; by default as many as the CPUs allow, or one on a GPU.
        address: The Ray cluster to join; None: this machine.
        insecure: Whether to join also a cluster that asks for no token.
        reporter: Receives the plan, progress and tables; by default they are logged.

    Returns:
        One row per model, seed and cold policy, with the columns of
        `darec.evaluation.scores.Score`, and those of lists of recommendations:
        ``model_ndcg_at_10``, ``popularity_ndcg_at_10``, ``bias_ndcg_at_10`` and the same for
        ``recall`` and ``coverage``.

    Raises:
        UserError: A search is not finished, the ratings are not those it saw, several searches are
            of different tasks, or a run has no score.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> options = {"trials": 2, "max_epochs": 2, "out": "results", "resume": True}
        >>> result = darec.search("shared_bias", pair, **options)
        >>> scores = darec.evaluate(result, pair, seeds=2)
        >>> scores.groupby("cold")["test_rmse"].count().to_dict()
        {'fallback': 2, 'floor': 2, 'hierarchical': 2}
    """
    check_device(device, address)
    check_count("--threads", threads)
    for option, count in (("--seeds", seeds), ("--at-once", at_once)):
        check_count(option, count, optional=True)
    _check_folds(folds, seeds, same_split)
    reporter, winners = reporter or LogReporter(), searches_of(result, pair)
    runs = [
        run
        for winner in winners
        for run in _runs(winner, pair, seeds or SEEDS, folds, same_split, refit, device)
    ]
    machines = Machines(address, at_once, threads, float(device == "cuda"), insecure)
    measured = measure(runs, pair, machines, reporter, fresh)
    all_scores = [score for each in measured for score in each]
    if len(summary.names_of(all_scores)) > 1:
        _compare(all_scores, reporter)
    else:
        for winner in winners:  # several searches of one model have a table each
            own = [each for run, each in zip(runs, measured, strict=True) if run.winner is winner]
            _report([each for each in own if each], reporter)
    listed = summary.ranking_table(all_scores)
    if len(listed):
        reporter.table(summary.ranking_title(all_scores), listed)
        reporter.line(summary.NOT_FOR_RANKING)
    return _finished(winners, measured, frame(all_scores), reporter, fresh)


def _check_folds(folds: int | None, seeds: int | None, same_split: bool) -> None:
    """Raise `UserError` for a wrong number of folds, or beside options that folds replace."""
    if folds is None:
        return
    check_count("--folds", folds)
    if folds < 2:
        raise UserError(f"--folds must be at least 2, but got {folds}")
    for option, given in (("--seeds", seeds is not None), ("--same-split", same_split)):
        if given:
            raise UserError(f"give either --folds or {option}: each fold is one run on its split")


def _runs(
    winner: SearchResult,
    pair: DomainPair,
    seeds: int,
    folds: int | None,
    same_split: bool,
    refit: bool,
    device: str,
) -> list[ScoreRun]:
    """Return the training runs of a winner: one for each seed, or for each fold."""
    best = winner.best
    if folds is not None:
        if best.holdout != Holdout(best.train):
            message = f"deal ratings at random, but the search has {best.holdout.in_words}"
            raise UserError(f"--folds {message}; search with --task warm and --split random")
        split_by_fold(pair, Fold(1, folds), best.seed)  # too many folds are refused before any run
        numbers = range(1, folds + 1)
        return [
            ScoreRun(winner, best, best.seed, best.seed + n - 1, refit, device, Fold(n, folds))
            for n in numbers
        ]
    one_split = same_split or best.holdout.same_for_all_seeds
    return [
        ScoreRun(winner, best, best.seed if one_split else seed, seed, refit, device)
        for seed in range(best.seed, best.seed + seeds)
    ]


def _compare(scores: Sequence[Score], reporter: Reporter) -> None:
    """Report the best of several models, and the mean figures of all, best first."""
    message = f"{summary.task(scores)}, {summary.runs(scores)}"
    reporter.line(headline(scores))
    reporter.table(
        f"RMSE on {message}, mean ± sd{summary.mixed(scores)}", summary.comparison(scores)
    )
    if summary.one_split(scores):
        reporter.line(summary.ONE_SPLIT)


def _report(measured: list[list[Score]], reporter: Reporter) -> None:
    """Report each run's test RMSE, the means, and whether the model beats the bias baseline."""
    if not measured:
        return
    for each in measured:
        first = each[0]
        mark = "*" if first.searched_split else " "
        rmse = ", ".join(f"{score.test_rmse:.4f} (cold={score.cold})" for score in each)
        split = f"{first.split_seed}{mark}"
        if first.folds is not None:
            split = f"fold {first.fold} of {first.folds}"
        reporter.line(
            f"  split {split} run {first.run_seed}: epoch {first.epoch}, test RMSE {rmse}"
        )
    own = [score for each in measured for score in each]
    reporter.line("  * the split whose validation ratings chose the configuration")
    reporter.line(summary.verdict(own))
    reporter.table(summary.title(own), summary.table(own))
    if any(score.rmse_both is not None for score in own):
        reporter.line(BOTH)
    if summary.one_split(own):
        reporter.line(summary.ONE_SPLIT)


def _finished(
    winners: Sequence[SearchResult],
    measured: Sequence[Sequence[Score]],
    frame: pd.DataFrame,
    reporter: Reporter,
    fresh: bool,
) -> pd.DataFrame:
    """Return the table of all scores; raises `UserError` if a run has none.

    Logs a warning if the scores are of several origins.
    """
    if message := mixture([score for each in measured for score in each]):
        LOGGER.warning("%s; --fresh scores all of them again", message)
    refresh_cards(winners)
    for out in dict.fromkeys(winner.out for winner in winners):
        reporter.line(f"scores: {storage.join(out, SCORES)}")
    if n_failed := sum(not each for each in measured):
        n_scored = len(measured) - n_failed
        keeps = f"; it keeps the scores of the other {n_scored}" if n_scored and not fresh else ""
        message = f"{n_failed} of {len(measured)} runs have no score"
        raise UserError(f"{message}; run the same command again{keeps}")
    return frame
