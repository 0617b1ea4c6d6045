"""DARec's stage-2 search space (section 4.1), and the joint space of both stages."""

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces import autorec

SPACE = {
    # scientific: what the paper compares
    "extractor": IntDistribution(50, 500, step=10),  # paper
    "beta": FloatDistribution(1e-4, 1.0, log=True),  # paper
    "mu": FloatDistribution(1e-4, 1e4, log=True),  # paper
    # nuisance: tuned so that the comparison is fair
    "lambda_": FloatDistribution(1e-4, 1e4, log=True),  # paper
    "pyramid": CategoricalDistribution([0.5, 1.0, 2.0]),  # ours; the paper says only "pyramid"
    "init": CategoricalDistribution(["paper", "xavier"]),  # ours; "paper" is N(0, 0.01^2)
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),  # ours
    "batch_size": CategoricalDistribution([64, 128, 256]),  # ours
}

USER_SPACE = {
    **SPACE,
    "heads": CategoricalDistribution(["both", "own"]),  # ours; "both" is Eq. 3's reading
}

FIXED = {"decay": "coupled"}  # as in Eq. 3 and 7; ["coupled", "decoupled"] can be searched, too

FIXED_ITEM = {**FIXED, "heads": "own"}
"""Items have no counterpart in the other domain, so each predicts its own domain (Eq. 7)."""


def joint(space: dict[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """Return stage 2's space with stage 1's beside it, for ``--stages joint`` (ours, after Fig. 2).

    Both domains then share one AutoRec config; its epochs are searched, too.
    """
    stage1 = {f"autorec/{name}": distribution for name, distribution in autorec.SPACE.items()}
    return {**space, **stage1, "autorec/epochs": IntDistribution(10, 100, step=10)}
