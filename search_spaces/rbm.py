"""CF-RBM's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "hidden": IntDistribution(20, 500, log=True),  # ours
    "conditional": CategoricalDistribution([False, True]),  # ours
    # nuisance
    "learning_rate": FloatDistribution(5e-3, 0.2, log=True),  # ours
    "decay": FloatDistribution(1e-4, 1e-2, log=True),  # ours
    "cd_steps": CategoricalDistribution(["1", "1-3", "1-3-5"]),  # ours
    "batch_size": CategoricalDistribution([32, 128, 512]),  # ours
}

START = {
    "hidden": 100,
    "conditional": False,
    "learning_rate": 0.05,
    "decay": 1e-3,
    "cd_steps": "1-3",
    "batch_size": 128,
}
"""The first trial."""

_QUICK = {**START, "hidden": 20, "cd_steps": "1"}
USER_PORTFOLIO = [
    {
        **START,
        "hidden": 41,
        "learning_rate": 0.2,
        "decay": 3e-3,
        "batch_size": 32,
    },  # books -> music
    {**START, "hidden": 143, "learning_rate": 0.1, "decay": 6e-3},  # books -> movies
    {**_QUICK, "learning_rate": 0.2, "decay": 1e-4, "batch_size": 512},  # yelp
    {**_QUICK, "conditional": True, "learning_rate": 5e-3, "decay": 0.01},  # d1 -> d3
]
"""Winners of 12 trials on these pairs, on the user axis."""

FIXED: dict[str, str] = {}
"""The axis follows from the model's name."""
