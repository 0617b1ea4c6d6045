"""CMF's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific: with a share of 0 the model is PMF on the target
    "source_share": FloatDistribution(0.05, 0.95),  # ours
    # nuisance
    "factors": IntDistribution(5, 100, log=True),  # ours
    "reg": FloatDistribution(0.005, 0.5, log=True),  # ours
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([256, 1024, 4096]),  # ours
}

CENTERED_SPACE = {
    **SPACE,
    "center": CategoricalDistribution(["mean", "bias", "hierarchical"]),  # ours
}
"""That of the CMF with biases, which is ours."""

START = {
    "source_share": 0.5,
    "factors": 20,
    "reg": 0.05,
    "learning_rate": 5e-3,
    "batch_size": 1024,
    "center": "hierarchical",
}
"""The first trial."""

_SLOW = {**START, "learning_rate": 1e-3}
PORTFOLIO = [
    {**_SLOW, "source_share": 0.05, "factors": 5, "reg": 0.5, "batch_size": 4096},  # d1 -> d3
    {**_SLOW, "source_share": 0.78, "factors": 100, "reg": 0.16},  # books -> movies
    {**_SLOW, "source_share": 0.05, "factors": 5, "reg": 0.5},  # yelp
    {**_SLOW, "source_share": 0.054, "factors": 100, "reg": 0.05},  # books -> music
]
"""Winners of 12 trials on these pairs, for the CMF with biases."""

FIXED = {"bias": True}

FIXED_UNBIASED = {"bias": False, "center": "mean"}
"""The CMF of the paper has no biases."""
