"""The search space of U-AutoRec, I-AutoRec and stage 1 of DARec (section 4.1)."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific: what the paper compares
    "hidden": IntDistribution(100, 1500, step=100),  # paper
    "center": CategoricalDistribution(["none", "mean", "bias", "hierarchical"]),  # ours
    "activation": CategoricalDistribution(["sigmoid", "tanh"]),  # ours; "sigmoid" is the paper's
    "trains_on": CategoricalDistribution(["target", "both"]),  # ours; "target" is the paper's
    # nuisance: tuned so that the comparison is fair
    "alpha": FloatDistribution(1e-5, 0.1, log=True),  # paper
    "learning_rate": FloatDistribution(3e-5, 1e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([64, 128, 256]),  # ours
}

START = {
    "hidden": 200,
    "center": "hierarchical",
    "activation": "tanh",
    "trains_on": "target",
    "alpha": 0.03,
    "learning_rate": 2e-4,
    "batch_size": 64,
}
"""The first trial: values that are good on every known pair.

Chosen without knowing a pair they are at most 0.0006 worse on it (docs/results.md).

alpha counts once a step of 64 rows. Between 0.003 and 0.2 it changes the validation RMSE by at most
0.0003 (docs/results.md).
"""

PAPER = {
    "center": "none",
    "activation": "sigmoid",
    "trains_on": "target",
    "learning_rate": 1e-3,
    "batch_size": 128,
}
"""What ``--paper`` holds fixed, so that only the paper's ranges are searched. The paper does not
give the last two, which are common values."""

EPOCHS = IntDistribution(10, 100, step=10)  # ours; searched with --stages joint only

FIXED = {"decay": "coupled"}  # as in Eq. 2; "decoupled" is ours and can be searched, too
"""The axis follows from the model's name, and the number of epochs from early stopping."""
