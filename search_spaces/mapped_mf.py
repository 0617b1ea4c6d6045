"""The search spaces of EMCDR and PTUPCDR. Of the ranges, the papers give those marked."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

FACTORISATION = {
    "factors": IntDistribution(2, 64, log=True),  # ours
    "reg": FloatDistribution(0.005, 2.0, log=True),  # ours
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([256, 1024, 4096]),  # ours
    "center": CategoricalDistribution(["mean", "bias", "hierarchical"]),  # ours
    "mapping_learning_rate": FloatDistribution(1e-3, 2e-2, log=True),  # ours
}
"""What both have in common. All of it is nuisance."""

EMCDR_SPACE = {
    # scientific
    "mapping": CategoricalDistribution(["linear", "mlp"]),  # paper
    # nuisance
    "min_ratings": IntDistribution(1, 10),  # ours
    "mapping_reg": FloatDistribution(0.01, 10, log=True),  # ours
    **FACTORISATION,
}

PTUPCDR_SPACE = {
    # scientific
    "history": CategoricalDistribution(["liked", "all"]),  # ours; "liked" as in the authors' code
    # nuisance
    "meta": IntDistribution(8, 128, log=True),  # ours; 50 in the authors' code
    "mapping_reg": FloatDistribution(0.1, 1000, log=True),  # ours
    **FACTORISATION,
}

START = {
    "factors": 20,
    "reg": 0.4,
    "learning_rate": 0.01,
    "batch_size": 1024,
    "center": "hierarchical",
    "mapping_learning_rate": 0.005,
}
EMCDR_START = {"mapping": "mlp", "min_ratings": 5, "mapping_reg": 0.5, **START}
PTUPCDR_START = {"history": "liked", "meta": 50, "mapping_reg": 100.0, **START}
"""The first trials."""

EMCDR_PORTFOLIO = [
    {  # d1 -> d3
        **EMCDR_START,
        "min_ratings": 1,
        "mapping_reg": 10.0,
        "factors": 64,
        "reg": 2.0,
        "learning_rate": 2.3e-3,
        "mapping_learning_rate": 1.6e-3,
    },
    {  # books -> movies
        **EMCDR_START,
        "min_ratings": 7,
        "mapping_reg": 0.02,
        "factors": 27,
        "reg": 0.14,
        "learning_rate": 3.5e-3,
        "mapping_learning_rate": 1.3e-3,
    },
    {  # yelp
        **EMCDR_START,
        "mapping": "linear",
        "min_ratings": 10,
        "mapping_reg": 0.01,
        "factors": 2,
        "reg": 2.0,
        "learning_rate": 1e-3,
        "mapping_learning_rate": 0.012,
    },
    {  # books -> music
        **EMCDR_START,
        "min_ratings": 1,
        "mapping_reg": 0.01,
        "factors": 34,
        "reg": 0.21,
        "learning_rate": 6e-3,
        "mapping_learning_rate": 1e-3,
    },
]
"""Winners of 12 trials on these pairs."""

FIXED: dict[str, str] = {}
