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

PORTFOLIO = [
    {**START, "k": 200, "shrinkage": 340.0, "min_common": 8, "damping": 0.09},  # books -> movies
    {**START, "k": 22, "shrinkage": 1.0, "min_common": 1, "damping": 10.0},  # yelp
    {**START, "k": 5, "shrinkage": 175.0, "min_common": 7, "damping": 0.03},  # books -> music
]
"""Winners of 12 trials on these pairs. On d1 -> d3 and c3 -> c19 the first trial won."""

FIXED: dict[str, Any] = {}
