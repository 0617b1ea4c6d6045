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
PLANTED = Planted(user=0.8, item=0.4, factors=1.2, noise=0.6, rank=2)


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
        kind = MODELS[name]
        rmse = []
        for part in (data, with_shuffled_source(data)):
            fit = Fit(kind.build(parse(kind.config, values), part.training, Run()), part)
            for _ in range(1 if kind.whole_fit else epochs):
                fit.step()
            rmse.append(fit.best_rmse)
        ours, shuffled = rmse
        yield Figure(f"transfer_{name}", ours, "stars", shuffled, shuffled / ours)
