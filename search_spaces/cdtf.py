"""CDTF's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "source_weight": FloatDistribution(1e-3, 1.0, log=True),  # ours
    # nuisance
    "factors": IntDistribution(1, 30),  # ours
    "reg": FloatDistribution(0.1, 50, log=True),  # ours
    "center": CategoricalDistribution(
        ["none", "mean", "bias", "hierarchical"]
    ),  # ours; "none" is theirs
}

START = {"source_weight": 0.1, "factors": 10, "reg": 5.0, "center": "hierarchical"}
"""The first trial."""

FIXED: dict[str, str] = {}
