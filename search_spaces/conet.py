"""CoNet's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

SPACE = {
    # scientific
    "lasso": FloatDistribution(1e-4, 1.0, log=True),  # ours
    "crossing": CategoricalDistribution(["mean", "none"]),  # ours; "none" as in the authors' code
    # nuisance
    "embedding": CategoricalDistribution([8, 16, 32, 64]),  # ours
    "reg": FloatDistribution(1e-4, 1e-1, log=True),  # ours
    "learning_rate": FloatDistribution(5e-4, 5e-3, log=True),  # ours
    "batch_size": CategoricalDistribution([128, 256, 512, 1024]),  # ours
    "center": CategoricalDistribution(["mean", "bias", "hierarchical"]),  # ours
}

START = {
    "lasso": 1e-3,
    "crossing": "mean",
    "embedding": 32,
    "reg": 1e-2,
    "learning_rate": 1e-3,
    "batch_size": 256,
    "center": "hierarchical",
}
"""The first trial: sizes and rates of the authors' code."""

_SMALL = {**START, "crossing": "none", "embedding": 8}
_SLOW = {**_SMALL, "learning_rate": 5e-4, "batch_size": 1024}
PORTFOLIO = [
    {**_SMALL, "lasso": 1.5e-4, "reg": 1e-4, "batch_size": 128},  # c3 -> c19
    {**_SLOW, "lasso": 0.021, "embedding": 16, "reg": 0.1},  # d1 -> d3
    {**_SLOW, "lasso": 1.8e-3, "reg": 1.4e-3},  # books -> movies
]
"""Winners of 12 trials on these pairs."""

FIXED: dict[str, str] = {}
