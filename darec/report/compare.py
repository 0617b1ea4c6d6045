"""Compares winners by their test scores, in pairs over splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from darec.api.result import SearchResult
from darec.api.winner_scores import scores_of_winner
from darec.core.cold import COLD, ColdPolicy
from darec.errors import UserError
from darec.models.best import Best
from darec.report.analysis.statistics import LEAST_SPLITS, LEVEL, holm, p_shown, paired_p


@dataclass(frozen=True)
class Compared:
    """A winner against the first one, over the splits that both have scores of."""

    name: str
    rmse: float
    """The mean test RMSE over those splits."""
    sd: float
    gap: float
    """Its RMSE minus the first one's: the mean over splits."""
    gap_sd: float
    lower: int
    """On how many splits it is lower."""
    splits: int
    p: float | None
    """Of a paired test, corrected for their number; None for fewer splits than `LEAST_SPLITS`."""

    def sentence(self, first: str) -> str:
        """Return the difference in words; ``first`` is the name of the first one."""
        return f"{self.name} is {self._difference.format(first)}"

    @property
    def _difference(self) -> str:
        if self.p is None:
            few = "one split" if self.splits == 1 else f"{self.splits} splits"
            return f"{self._side} than {{}} by {abs(self.gap):.4f} on {few}, too few for a test"
        if self.p >= LEVEL:
            return f"not significantly different from {{}} (p = {p_shown(self.p)})"
        return f"{self._side} than {{}} by {abs(self.gap):.4f} (p {self._p})"

    @property
    def _side(self) -> str:
        return "lower" if self.gap < 0 else "higher"

    @property
    def _p(self) -> str:
        assert self.p is not None
        shown = p_shown(self.p)
        return shown if shown.startswith("<") else f"= {shown}"


def in_short(found: Sequence[Compared]) -> str:
    """Return which of several winners differ from the first one by the paired test."""
    first, *others = found
    tested = [(each.name, each.gap, each.p) for each in others if each.p is not None]
    if not tested:
        return f"A paired test needs {LEAST_SPLITS} splits or more."
    groups = {
        f"not significantly different from {first.name}": [
            name for name, _, p in tested if p >= LEVEL
        ],
        "lower": [name for name, gap, p in tested if p < LEVEL and gap < 0],
        "higher": [name for name, gap, p in tested if p < LEVEL and gap >= 0],
    }
    messages = [f"{group}: {', '.join(names)}" for group, names in groups.items() if names]
    return f"By a paired test (p < {LEVEL:g}, corrected), {'; '.join(messages)}."


def compare(results: Sequence[SearchResult], cold: ColdPolicy = COLD) -> list[Compared]:
    """Compare the winners of finished searches of one pair and split, the first with all others.

    The p-values are those of a paired t-test whose standard error allows for ratings that splits
    share (`darec.report.analysis.statistics`), with Holm's correction.

    Raises `UserError` for fewer than two searches, for searches of different ratings or splits, and
    for a winner without test scores or without splits in common with the first.
    """
    if len(results) < 2:
        raise UserError("give at least two searches to compare")
    bests = [result.best for result in results]
    for result, best in zip(results, bests, strict=True):
        if (best.data_digest, best.holdout) != (bests[0].data_digest, bests[0].holdout):
            message = f"must be of {bests[0].pair}, {bests[0].holdout.in_words}, as the first one"
            raise UserError(f"{result.path}: {message}, but is of {_task(best)}")
    errors = [_errors(result, best, cold) for result, best in zip(results, bests, strict=True)]
    names = [best.model for best in bests]
    if len(set(names)) < len(names):
        names = [result.path for result in results]
    return compared(names, errors, bests[0])


def _task(best: Best) -> str:
    return f"{best.pair} ({best.data_digest[:8]}), {best.holdout.in_words}"


def _errors(result: SearchResult, best: Best, cold: ColdPolicy) -> dict[int, float]:
    """Return a winner's test RMSE by the seed of the split, the mean over runs on it."""
    scores = scores_of_winner(result, best).get(cold, [])
    if not scores:
        raise UserError(f"{result.path}: no test scores (cold={cold}); run darec evaluate first")
    by_split: dict[int, list[float]] = {}
    for score in scores:
        by_split.setdefault(score.split_seed, []).append(score.test_rmse)
    return {split: float(np.mean(errors)) for split, errors in by_split.items()}


def compared(
    names: Sequence[str], errors: Sequence[Mapping[int, float]], best: Best
) -> list[Compared]:
    """Compare test RMSEs by the seed of the split, the first model's with all others.

    ``best`` is one of the winners; it tells the task. Raises `UserError` for a model without splits
    in common with the first.
    """
    found, p_values = [], []
    for name, own in zip(names, errors, strict=True):
        common = sorted(own.keys() & errors[0].keys())
        if not common:
            raise UserError(f"{name}: no split in common with {names[0]}; run darec evaluate again")
        first, second = ([each[seed] for seed in common] for each in (errors[0], own))
        gaps = np.subtract(second, first)
        enough = len(common) >= LEAST_SPLITS and own is not errors[0]
        p = paired_p(first, second, best.train, best.cold_users) if enough else None
        if p is not None:
            p_values.append(p)
        found.append(
            Compared(
                name=name,
                rmse=float(np.mean(second)),
                sd=_sd(second),
                gap=float(gaps.mean()),
                gap_sd=_sd(gaps.tolist()),
                lower=int((gaps < 0).sum()),
                splits=len(common),
                p=p,
            )
        )
    corrected = iter(holm(p_values))
    return [each if each.p is None else replace(each, p=next(corrected)) for each in found]


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
