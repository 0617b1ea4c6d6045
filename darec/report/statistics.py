"""Paired comparisons over seeds: what may be called better."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

LEAST_SPLITS = 5
"""Below, nothing is called better; 10 are recommended."""
LEVEL = 0.05
SAME = 1e-9
"""Errors, and gaps, that differ by less are the same."""
LEAST_P = 0.001
"""Smaller p-values are only said to be smaller."""


def p_shown(p: float) -> str:
    """Return a p-value as it is printed."""
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P}"


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of a paired t-test over splits; 1 where nothing differs."""
    gaps = np.subtract(first, second)
    if len(gaps) < 2 or np.abs(gaps).max() < SAME:
        return 1.0
    if np.ptp(gaps) < SAME:
        return 0.0
    return float(stats.ttest_rel(first, second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = running
    return corrected


def surely_best(errors: Mapping[str, Sequence[float]]) -> str | None:
    """Return the model whose error over splits is lower than every other's, if that is sure.

    A paired t-test against each of the others, Holm-corrected, at `LEVEL`; None below
    `LEAST_SPLITS` splits.
    """
    if len(errors) < 2 or min(map(len, errors.values())) < LEAST_SPLITS:
        return None
    best = min(errors, key=lambda name: float(np.mean(errors[name])))
    others = [values for name, values in errors.items() if name != best]
    p_values = holm([paired_p(errors[best], values) for values in others])
    return best if max(p_values) < LEVEL else None
