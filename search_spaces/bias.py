"""The search spaces of the biases and the mean. All are ours: the paper has no such models."""

from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

SPACE = {
    # nuisance
    "reg_user": FloatDistribution(0.1, 100, log=True),  # ours
    "reg_item": FloatDistribution(0.1, 100, log=True),  # ours
}

SHARED_SPACE = {
    # scientific: with 0 the model is the bias baseline
    "source_weight": FloatDistribution(0.0, 1.0),  # ours
    **SPACE,
}

MEAN_SPACE: dict[str, BaseDistribution] = {}

FIXED: dict[str, Any] = {}
