"""The search space of U-AutoRec, I-AutoRec and stage 1 of DARec (section 4.1)."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific: what the paper compares
    "hidden": IntDistribution(100, 1500, step=100),  # paper
    # nuisance: tuned so that the comparison is fair
    "alpha": FloatDistribution(1e-5, 0.1, log=True),  # paper
    "center": CategoricalDistribution(["none", "mean", "bias"]),  # ours; "none" is the paper's
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([64, 128, 256]),  # ours
}

START = {
    "hidden": 500,
    "alpha": 0.01,
    "center": "bias",
    "learning_rate": 1e-3,
    "batch_size": 128,
}
"""The first trial: values that one would try by hand."""

EPOCHS = IntDistribution(10, 100, step=10)  # ours; searched with --stages joint only

FIXED = {"decay": "coupled"}  # as in Eq. 2; "decoupled" is ours and can be searched, too
"""The axis follows from the model's name, and the number of epochs from early stopping."""
