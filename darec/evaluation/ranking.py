"""How good a model's lists of recommendations are, beside those of two baselines.

A list has the unseen items with a user's highest scores: those without a training or validation
rating of the user. An item is relevant if its test rating is high. No search sees these figures.
Shapes: U users, I items, B users of a block.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from darec.core.cold import ColdRule
from darec.core.lists import Ranking, ranked_users, ranking, ranking_of_model, relevant_of
from darec.core.recommender import Recommender
from darec.data.ratings import FloatArray, IntArray, Ratings


@dataclass(frozen=True)
class Rankings:
    """The figures of a model and of two ways to rank that need none, for the same users."""

    users: Annotated[int, Field(ge=1)]
    """Number of users who got a list."""
    model: Ranking
    popularity: Ranking
    """Of items ranked by their number of training ratings."""
    bias: Ranking
    """Of items ranked by the regularised bias baseline."""


def rankings(
    model: Recommender, rule: ColdRule, training: Ratings, seen: Ratings, test: Ratings, seed: int
) -> Rankings | None:
    """Return the figures of a trained model and of both baselines; None if no item is relevant.

    ``training`` has the target ratings that the model and the cold rule know, ``seen`` all those
    that lists leave out: the user knows the items of validation ratings, too.
    Raises `DivergedError` when a score is not finite.
    """
    relevant = relevant_of(test)
    if not len(relevant):
        return None
    users, items = ranked_users(relevant, seed), np.arange(test.n_items, dtype=np.int32)
    popularity_I = training.item_counts

    def by_popularity(users: IntArray) -> FloatArray:
        return np.broadcast_to(popularity_I.astype(np.float32), (len(users), len(items)))

    def by_bias(users: IntArray) -> FloatArray:
        return rule.bias.predict(users[:, None], items)

    of_model = ranking_of_model(model, rule, users, relevant, seen)
    others = [ranking(each, users, relevant, seen) for each in (by_popularity, by_bias)]
    return Rankings(len(users), of_model, *others)
