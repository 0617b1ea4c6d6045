"""What the source is worth to each cross-domain model, on a pair where it is informative.

The same model and config is trained with the source as it is and with its users shuffled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from darec.benchmark.core import Figure
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import SearchData, Training, split
from darec.data.synthetic import Planted, planted_pair
from darec.models import MODELS
from darec.paper import Counts
from darec.seeds import generator

COUNTS = Counts(
    users=600, source_items=150, target_items=100, source_ratings=24000, target_ratings=3600
)
"""40 source and 6 target ratings a user."""
STAGE1 = {"hidden": 50, "learning_rate": 5e-3, "batch_size": 64, "epochs": 20}
STAGE2 = {"init": "xavier", "lambda_": 0.01, "beta": 1.0, "mu": 0.01}
PLANTED = Planted(user=0.8, item=0.4, factors=1.2, noise=0.6, rank=2)

CONFIGS: dict[str, dict[str, Any]] = {
    "shared_bias": {},
    "cmf": {"factors": 5, "learning_rate": 0.01},
    "cmf_unbiased": {"factors": 5, "learning_rate": 0.01, "bias": False},
    "cdtf": {"factors": 4, "reg": 2.0, "source_weight": 0.3},
    "fm_cdcf": {"rank": 4},
    "conet": {"embedding": 16},
    "u_darec": {**STAGE2, "autorec": {**STAGE1, "axis": "user"}, "heads": "both"},
    "i_darec": {**STAGE2, "autorec": {**STAGE1, "axis": "item"}},
    "i_darec with shared predictors": {
        **STAGE2,
        "autorec": {**STAGE1, "axis": "item"},
        "predictors": "shared",
    },
}
"""By a model's name, and what is changed. I-DARec as printed cannot gain (docs/paper.md)."""


def informative() -> SearchData:
    """Return the searched part of a pair whose target is sparse and whose source says much."""
    return split(planted_pair("informative", COUNTS, PLANTED)).search


def with_shuffled_source(data: SearchData, seed: int = 0) -> SearchData:
    """Return the same target beside a source whose users have exchanged their ratings."""
    order = generator(seed, "shuffled source").permutation(data.training.source.n_users)

    def shuffled(ratings: Ratings) -> Ratings:
        return replace(ratings, users=order[ratings.users].astype(np.int32))

    training = Training(shuffled(data.training.source), data.training.target)
    return replace(data, training=training, valid_source=shuffled(data.valid_source))


def transfers(
    configs: Mapping[str, dict[str, Any]], epochs: int, data: SearchData
) -> Iterator[Figure]:
    """Compare each model's best validation RMSE; the reference is with the shuffled source."""
    for name, values in configs.items():
        kind = MODELS[name.split(" ")[0]]
        rmse = []
        for part in (data, with_shuffled_source(data)):
            fit = Fit(kind.build(parse(kind.config, values), part.training, Run()), part)
            for _ in range(1 if kind.whole_fit else epochs):
                fit.step()
            rmse.append(fit.best_rmse)
        ours, shuffled = rmse
        yield Figure(f"transfer_{name.replace(' ', '_')}", ours, "stars", shuffled, shuffled / ours)
