"""The search spaces of the biases and the mean. All are ours: the paper has no such models."""

from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

SPACE = {
    # nuisance
    "reg_user": FloatDistribution(0.1, 100, log=True),  # ours
    "reg_item": FloatDistribution(0.1, 100, log=True),  # ours
}

START = {"reg_user": 4.0, "reg_item": 3.0}
"""The first trial: the best of 25 on the validation ratings of four real pairs. The best on any
three of them is within 0.003 of it on the fourth (docs/performance.md)."""

SHARED_SPACE = {
    # scientific: with 0 the model is the bias baseline
    "source_weight": FloatDistribution(0.0, 1.0),  # ours
    **SPACE,
}

SHARED_START = {"source_weight": 0.5, "reg_user": 3.0, "reg_item": 2.5}

MEAN_SPACE: dict[str, BaseDistribution] = {}

FIXED: dict[str, Any] = {}
