"""Paired tests over splits, which say whether one error is significantly lower than another."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from darec.data.holdout import ColdPercent, TrainPercent
from darec.data.split import VALID_USERS

LEAST_SPLITS = 5
"""With fewer splits nothing is called better; 10 are recommended."""
LEVEL = 0.05
SAME = 5e-5
"""Two mean errors count as equal if they differ by less, which is half of the last digit shown."""
LEAST_P = 0.001
"""The smallest p-value that is printed."""


def p_shown(p: float) -> str:
    """Return a p-value as it is printed."""
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"


def widening(n: int, train: TrainPercent, cold_users: ColdPercent | None = None) -> float:
    """Return the factor by which the usual standard error over ``n`` random splits is too small.

    Random splits share ratings, so that the variance of their mean is (1/n + test/training) times
    that of one split, and not 1/n times (Nadeau and Bengio, Inference for the generalization error,
    Machine Learning 52, 2003). In the cold-user task the splits share users.
    """
    if cold_users is not None:
        return math.sqrt(1 + n * cold_users / ((1 - VALID_USERS) * (100 - cold_users)))
    return math.sqrt(1 + n * (100 - train) / (0.9 * train))


def paired_p(
    first: Sequence[float],
    second: Sequence[float],
    train: TrainPercent = 90,
    cold_users: ColdPercent | None = None,
) -> float:
    """Return the two-sided p-value of a paired t-test over splits; 1 if the means are the same.

    It is scipy's paired t-test with the statistic divided by `widening`.
    """
    gaps = np.subtract(first, second)
    if len(gaps) < 2 or abs(gaps.mean()) < SAME:
        return 1.0
    if np.ptp(gaps) < 1e-12:
        return 0.0
    t = float(stats.ttest_rel(first, second).statistic) / widening(len(gaps), train, cold_users)
    return float(2 * stats.t.sf(abs(t), len(gaps) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = running
    return corrected


def surely_best(errors: Mapping[str, Sequence[float]], train: TrainPercent = 90) -> str | None:
    """Return the model whose error is significantly lower than every other's, or None.

    The tests are `paired_p` against each other model, Holm-corrected, at `LEVEL`. With fewer than
    `LEAST_SPLITS` splits no model is.
    """
    if len(errors) < 2 or min(map(len, errors.values())) < LEAST_SPLITS:
        return None
    best = min(errors, key=lambda name: float(np.mean(errors[name])))
    others = [values for name, values in errors.items() if name != best]
    p_values = holm([paired_p(errors[best], values, train) for values in others])
    return best if max(p_values) < LEVEL else None
