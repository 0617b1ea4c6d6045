"""CF-NADE-S's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "hidden": IntDistribution(50, 500, step=50),  # ours
    "center": CategoricalDistribution(["none", "hierarchical"]),  # ours; "none" is the authors'
    "ordinal": CategoricalDistribution([0.0, 0.5, 1.0]),  # ours; 1 is the authors' run
    # nuisance
    "learning_rate": FloatDistribution(5e-4, 5e-3, log=True),  # ours
    "decay": FloatDistribution(1e-4, 5e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([64, 128, 256, 512]),  # ours
}

START = {
    "hidden": 100,
    "center": "hierarchical",
    "ordinal": 0.5,
    "learning_rate": 1e-3,
    "decay": 1e-3,
    "batch_size": 128,
}
"""The first trial."""

PAPER = {"center": "none"}
"""What ``--paper`` holds fixed: the model of its authors."""

FIXED = {"decay_kind": "coupled"}
"""The axis follows from the model's name."""
