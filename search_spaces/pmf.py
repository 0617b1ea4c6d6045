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
"""The first trial: close to Surprise's defaults. It is far behind where items have few ratings."""

PORTFOLIO = [
    {"factors": 5, "reg": 0.088, "learning_rate": 9e-3, "epochs": 100},  # d1 -> d3
    {"factors": 5, "reg": 0.27, "learning_rate": 0.03, "epochs": 70},  # c3 -> c19
    {"factors": 5, "reg": 0.5, "learning_rate": 0.03, "epochs": 100},  # yelp
    {"factors": 12, "reg": 0.055, "learning_rate": 0.014, "epochs": 30},  # books -> music
]
"""Winners of 12 trials on these pairs."""

FIXED = {"center": "none"}  # as in Surprise; "mean" and "bias" are ours and can be searched, too
