"""What the source is worth to each cross-domain model, on a pair with an informative source.

Each model is trained twice, with the source as it is and with the source's users shuffled.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from darec.benchmark.core import Figure
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.ratings import DomainPair
from darec.data.shuffled import shuffle_source
from darec.data.split import split
from darec.data.synthetic import Planted, planted_pair
from darec.models import MODELS
from darec.paper import Counts

COUNTS = Counts(
    users=600, source_items=150, target_items=100, source_ratings=24000, target_ratings=3600
)
"""A user has 40 source ratings and 6 target ratings on average."""
STAGE1 = {
    "hidden": 50,
    "center": "bias",
    "activation": "sigmoid",
    "learning_rate": 5e-3,
    "batch_size": 64,
    "epochs": 20,
}
STAGE2 = {
    "head": "plain",
    "init": "xavier",
    "lambda_": 0.01,
    "beta": 1.0,
    "mu": 0.01,
    "learning_rate": 1e-3,
}
PLANTED = Planted(user=0.8, item=0.4, factors=1.2, noise=0.6, rank=2)

CONFIGS: dict[str, dict[str, Any]] = {
    "shared_bias": {},
    "hierarchical_bias": {},
    "cmf": {"factors": 5, "learning_rate": 0.01, "center": "mean"},
    "cmf_unbiased": {"factors": 5, "learning_rate": 0.01, "center": "mean", "bias": False},
    "cdtf": {"factors": 4, "reg": 2.0, "source_weight": 0.3, "center": "none"},
    "fm_cdcf": {"rank": 4},
    "emcdr": {"factors": 4, "learning_rate": 0.01, "center": "mean"},
    "ptupcdr": {"factors": 4, "learning_rate": 0.01, "center": "mean"},
    "conet": {"embedding": 16, "center": "mean"},
    "u_darec": {**STAGE2, "autorec": {**STAGE1, "axis": "user"}, "heads": "both"},
    "i_darec": {**STAGE2, "autorec": {**STAGE1, "axis": "item"}},
    "i_darec with shared predictors": {
        **STAGE2,
        "autorec": {**STAGE1, "axis": "item"},
        "predictors": "shared",
    },
}
"""What is measured, by the name of the model and, after a space, of its variant.

Centres are of one domain, so that a gain is the model's own; `hierarchical_bias` shows what a
centre of both domains brings. EMCDR and PTUPCDR read the source for cold users only.
I-DARec as the paper prints it cannot gain from who rated what in the source (docs/paper.md)."""


def informative() -> DomainPair:
    """Return a pair with a sparse target and an informative source."""
    return planted_pair("informative", COUNTS, PLANTED)


def transfers(
    configs: Mapping[str, dict[str, Any]], epochs: int, pair: DomainPair
) -> Iterator[Figure]:
    """Compare the best validation RMSE of each model with that on the shuffled source."""
    for name, values in configs.items():
        kind = MODELS[name.split(" ")[0]]
        rmse = []
        for part in (split(each).search for each in (pair, shuffle_source(pair))):
            fit = Fit(kind.build(parse(kind.config, values), part.training, Run()), part)
            for _ in range(1 if kind.whole_fit else epochs):
                fit.step()
            rmse.append(fit.best_rmse)
        ours, shuffled = rmse
        yield Figure(f"transfer_{name.replace(' ', '_')}", ours, "stars", shuffled, shuffled / ours)
