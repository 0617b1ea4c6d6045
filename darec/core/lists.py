"""How good lists of recommendations are: NDCG, recall and coverage of the top ten.

A list has the ten items with a user's highest scores, except those that the user has rated. An
item is relevant if its held-out rating is high.
Shapes: I items, B users of a block, n items of a list.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import sparse

from darec.core.cold import ColdRule
from darec.core.recommender import DivergedError, Recommender
from darec.core.tables import all_scores
from darec.core.top import highest
from darec.data.ratings import BoolArray, FloatArray, IntArray, Ratings
from darec.seeds import generator

LENGTH = 10
"""Items of a list."""
RELEVANT = 4.0
"""An item is relevant if its held-out rating has at least this many stars. On another scale, the
rating is then at three quarters of the range or above."""
MOST_USERS = 1000
"""Most users who get a list, so that a slow model takes a bounded time."""
PAIRS_AT_ONCE = 2**20
"""Scores in memory at once, some 40 MB with temporaries. Large blocks of users make the matrix
products fast."""
DISCOUNT_n = 1 / np.log2(np.arange(LENGTH) + 2)
"""What a relevant item adds to the DCG of a list, by its position."""
IDEAL_n = np.cumsum(DISCOUNT_n)
"""The DCG of a list that begins with one, two, ... relevant items and has no others."""

Scores = Callable[[IntArray], FloatArray]
"""Maps users i32[B] to the scores of all items f32[B, I]."""
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Ranking:
    """The figures of one way to rank."""

    ndcg_at_10: Share
    """Mean over users of DCG / ideal DCG. A relevant item at rank r adds 1 / log2(r + 1)."""
    recall_at_10: Share
    """Mean over users of the share of their relevant items that their list has."""
    coverage_at_10: Share
    """Share of all items that are in at least one list."""


def relevant_of(held_out: Ratings) -> Ratings:
    """Return the held-out ratings of relevant items."""
    return held_out.take(held_out.values >= RELEVANT)


def ranked_users(relevant: Ratings, seed: int) -> IntArray:
    """Return the users with a relevant item, ascending: all, or `MOST_USERS` drawn by a seed.

    The draw depends on the seed alone, so that all models rank for the same users.
    """
    users = np.unique(relevant.users)
    if len(users) > MOST_USERS:
        users = np.sort(generator(seed, "ranked users").choice(users, MOST_USERS, replace=False))
    return users


def ranking(scores: Scores, users: IntArray, relevant: Ratings, seen: Ratings) -> Ranking:
    """Return the figures of the lists of some users, each of whom has a relevant item.

    ``relevant`` has the held-out ratings of relevant items, and ``seen`` the ratings that lists
    leave out. Raises `DivergedError` when a score is not finite.
    """
    relevant_UI, seen_UI = _cells(relevant), _cells(seen)
    ndcgs, recalls = [], []
    is_listed_I = np.zeros(relevant.n_items, bool)
    for block in _blocks(users, relevant.n_items):
        scores_BI = scores(block)
        if not np.isfinite(scores_BI).all():
            bad = int((~np.isfinite(scores_BI)).sum())
            raise DivergedError(f"{bad} of {scores_BI.size} scores of items are not finite")
        unseen_BI = np.where(seen_UI[block].toarray(), np.float32(-np.inf), scores_BI)
        items_Bn, _ = highest(unseen_BI, LENGTH)
        is_relevant_BI = relevant_UI[block].toarray()
        hits_Bn = np.take_along_axis(is_relevant_BI, items_Bn, 1) & (items_Bn >= 0)
        n_relevant_B = is_relevant_BI.sum(1)
        ideal_B = IDEAL_n[np.minimum(n_relevant_B, LENGTH) - 1]
        ndcgs.append(hits_Bn @ DISCOUNT_n[: hits_Bn.shape[1]] / ideal_B)
        recalls.append(hits_Bn.sum(1) / n_relevant_B)
        is_listed_I[items_Bn[items_Bn >= 0]] = True
    return Ranking(
        float(np.concatenate(ndcgs).mean()),
        float(np.concatenate(recalls).mean()),
        float(is_listed_I.mean()),
    )


def ranking_of_model(
    model: Recommender, rule: ColdRule, users: IntArray, relevant: Ratings, seen: Ratings
) -> Ranking:
    """Return the figures of a model's lists for some users, each of whom has a relevant item.

    Scores are raw, after the cold rule, as recommendations are: clipped, many would be equal.
    Raises `DivergedError` when a score is not finite.
    """
    items = np.arange(relevant.n_items, dtype=np.int32)
    predicted = all_scores(model, relevant.n_items)

    def scores(users: IntArray) -> FloatArray:
        return rule.unclipped(predicted.scores(users), users[:, None], items)

    return ranking(scores, users, relevant, seen)


def _cells(ratings: Ratings) -> sparse.csr_array:
    """Return which user rated which item, bool[U, I]."""
    is_rated: BoolArray = np.ones(len(ratings), bool)
    return sparse.csr_array(
        (is_rated, (ratings.users, ratings.items)), (ratings.n_users, ratings.n_items)
    )


def _blocks(users: IntArray, n_items: int) -> Iterator[IntArray]:
    size = max(1, PAIRS_AT_ONCE // n_items)
    return (users[begin : begin + size] for begin in range(0, len(users), size))
