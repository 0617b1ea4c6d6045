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

PORTFOLIO = [
    {**START, "source_weight": 1.0, "factors": 8, "reg": 2.3},  # c3 -> c19
    {**START, "source_weight": 1e-3, "factors": 1, "reg": 0.1},  # yelp
    {**START, "source_weight": 1.0, "factors": 29, "reg": 50.0},  # books -> music
]
"""Winners of 12 trials on these pairs. On d1 -> d3 and books -> movies the first trial won."""

FIXED: dict[str, str] = {}
