"""CDTF's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "source_weight": FloatDistribution(1e-3, 1.0, log=True),  # ours
    # nuisance
    "factors": IntDistribution(1, 30),  # ours
    "reg": FloatDistribution(0.1, 50, log=True),  # ours
    "center": CategoricalDistribution(["none", "mean", "bias"]),  # ours; "none" is the authors'
}

FIXED: dict[str, str] = {}
