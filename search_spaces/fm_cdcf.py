"""FM-CDCF's search space; the paper gives none."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

SPACE = {
    # scientific
    "norm": CategoricalDistribution(["n", "sqrt_n", "none", "centred"]),  # ours; "n" is published
    # nuisance
    "rank": IntDistribution(2, 32, log=True),  # ours
    "init_stdev": FloatDistribution(0.05, 0.5, log=True),  # ours
    "iterations": IntDistribution(50, 200, step=50),  # ours
}

FIXED = {"max_aux": 0, "center": "none"}
"""All source ratings count, as the paper's text has it; the authors' code takes five items'."""
