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

FIXED: dict[str, str] = {}
