"""The search space of the neighbours of items; the paper has no such model."""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "center": CategoricalDistribution(["bias", "hierarchical"]),  # ours; "bias" is Surprise's
    # nuisance
    "k": IntDistribution(5, 200, log=True),  # ours
    "shrinkage": FloatDistribution(1.0, 1000.0, log=True),  # ours
    "min_common": IntDistribution(1, 8),  # ours
    "damping": FloatDistribution(0.01, 10.0, log=True),  # ours
}

START = {
    "center": "hierarchical",
    "k": 40,
    "shrinkage": 100.0,
    "min_common": 2,
    "damping": 0.3,
}
"""The first trial: Surprise's defaults of k and of the shrinkage, and some damping. Without damping
the validation RMSE of d1 -> d3 is 1.05 instead of 0.96."""

FIXED: dict[str, Any] = {}
