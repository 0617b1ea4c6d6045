"""PMF's search space, over Surprise's hyper-parameters; the paper gives none."""

from optuna.distributions import FloatDistribution, IntDistribution

SPACE = {
    # nuisance
    "factors": IntDistribution(5, 200, log=True),  # ours
    "reg": FloatDistribution(0.01, 0.5, log=True),  # ours
    "learning_rate": FloatDistribution(1e-3, 3e-2, log=True),  # ours
    "epochs": IntDistribution(20, 100, step=10),  # ours
}

START = {"factors": 50, "reg": 0.05, "learning_rate": 5e-3, "epochs": 30}
"""The first trial."""

FIXED = {"center": "none"}  # as in Surprise; "mean" and "bias" are ours and can be searched, too
