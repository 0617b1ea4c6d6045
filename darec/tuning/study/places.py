"""Where values of hyper-parameters lie in their ranges."""

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

EDGE = 0.01
"""Share of a range that counts as its edge, on a logarithmic scale if the range has one."""


def place_of(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value lies in its range or among the choices, from 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value) / max(1, len(distribution.choices) - 1)
    low, high, log = (getattr(distribution, part) for part in ("low", "high", "log"))
    scale = math.log if log else float
    return (scale(value) - scale(low)) / (scale(high) - scale(low))


def at_edge(space: Mapping[str, BaseDistribution], config: Mapping[str, Any]) -> list[str]:
    """Return the hyper-parameters at an edge of their range: a wider range may be better."""
    return [
        name
        for name, distribution in space.items()
        if not isinstance(distribution, CategoricalDistribution)
        and not distribution.single()
        and not EDGE <= place_of(distribution, config[name]) <= 1 - EDGE
    ]
