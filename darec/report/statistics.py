"""Paired comparisons over seeds: what may be called better."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from darec.data.split import TrainPercent

LEAST_SPLITS = 5
"""Below, nothing is called better; 10 are recommended."""
LEVEL = 0.05
SAME = 5e-5
"""Errors whose means differ by less, half of the last digit printed, are the same."""
LEAST_P = 0.001
"""Smaller p-values are only said to be smaller."""


def p_shown(p: float) -> str:
    """Return a p-value as it is printed."""
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"


def widening(n: int, train: TrainPercent) -> float:
    """Return by how much ``n`` random splits understate a standard error: they share ratings.

    The variance of a mean over them is 1/n + test/training of one split's, not 1/n (Nadeau and
    Bengio, Inference for the generalization error, Machine Learning 52, 2003).
    """
    return math.sqrt(1 + n * (100 - train) / (0.9 * train))


def paired_p(first: Sequence[float], second: Sequence[float], train: TrainPercent = 90) -> float:
    """Return the two-sided p of a paired t-test over splits; 1 where nothing differs.

    scipy's paired t-test, its statistic divided by `widening`.
    """
    gaps = np.subtract(first, second)
    if len(gaps) < 2 or abs(gaps.mean()) < SAME:
        return 1.0
    if np.ptp(gaps) < 1e-12:
        return 0.0
    t = float(stats.ttest_rel(first, second).statistic) / widening(len(gaps), train)
    return float(2 * stats.t.sf(abs(t), len(gaps) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = running
    return corrected


def surely_best(errors: Mapping[str, Sequence[float]], train: TrainPercent = 90) -> str | None:
    """Return the model whose error over splits is lower than every other's, if that is sure.

    `paired_p` against each of the others, Holm-corrected, at `LEVEL`; None below `LEAST_SPLITS`
    splits.
    """
    if len(errors) < 2 or min(map(len, errors.values())) < LEAST_SPLITS:
        return None
    best = min(errors, key=lambda name: float(np.mean(errors[name])))
    others = [values for name, values in errors.items() if name != best]
    p_values = holm([paired_p(errors[best], values, train) for values in others])
    return best if max(p_values) < LEVEL else None
