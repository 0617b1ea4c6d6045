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

START = {"norm": "sqrt_n", "rank": 8, "init_stdev": 0.1, "iterations": 200}
"""The first trial: libFM's default rank, and myfm's default standard deviation."""

FIXED = {"max_aux": 0, "center": "none"}
"""All source ratings of a user count, as in the paper. The authors' code takes five of them."""
