"""Predictions of all items of a domain for some users at once, by matrix products where possible.

Shapes: U users, I items, K factors, R rows and M columns of a rating matrix, B users asked for.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from darec.core.bias import Bias
from darec.core.recommender import Recommender
from darec.core.scoring import PAIRS_AT_ONCE
from darec.data.ratings import Axis, Domain, FloatArray, IntArray


def as_array(tensor: torch.Tensor) -> FloatArray:
    """Return a tensor as an array in main memory; on a CPU both share it."""
    array: FloatArray = tensor.detach().cpu().numpy()
    return array


def add_dots(
    scores: FloatArray, user_UK: FloatArray, item_IK: FloatArray, users: IntArray, items: IntArray
) -> None:
    """Add ``user[u] . item[i]`` of each pair to its score f32[N], a chunk at a time."""
    for begin in range(0, len(users), PAIRS_AT_ONCE):
        part = slice(begin, begin + PAIRS_AT_ONCE)
        scores[part] += np.einsum("nk,nk->n", user_UK[users[part]], item_IK[items[part]])


class AllScores(Protocol):
    """Raw predictions of every item of a domain."""

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""


@runtime_checkable
class HasItemFactors(Protocol):
    """Scores of a model that has factors of items, or rows of them."""

    @property
    def item_IK(self) -> FloatArray:
        """The factors of each item, f32[I, K]; without columns if it has biases alone."""


@runtime_checkable
class HasTables(Protocol):
    """A recommender that can score all items by matrix products."""

    def tables(self, domain: Domain = "target") -> AllScores:
        """Return what predicts the ratings of a domain, computed from the present weights."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Predictions ``user[u] . item[i] + user_bias[u] + item_bias[i]``, all in f32."""

    user_UK: FloatArray
    item_IK: FloatArray
    user_bias_U: FloatArray
    item_bias_I: FloatArray

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""
        scores_BI: FloatArray = self.user_UK[users] @ self.item_IK.T
        scores_BI += self.user_bias_U[users, None]
        scores_BI += self.item_bias_I
        return scores_BI

    def of_pairs(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the unclipped predictions of single pairs, f32[N]."""
        scores = self.user_bias_U[users] + self.item_bias_I[items]
        add_dots(scores, self.user_UK, self.item_IK, users, items)
        return scores

    @staticmethod
    def of_factors(user_UK: FloatArray, item_IK: FloatArray, center: Bias) -> "Tables":
        """Return the tables of a dot product of factors plus a centre."""
        return Tables(user_UK, item_IK, center.user, center.item + np.float32(center.mean))

    @staticmethod
    def of_rows(
        axis: Axis, row_RK: FloatArray, column_MK: FloatArray, bias_M: FloatArray, center: Bias
    ) -> "Tables":
        """Return the tables of ``row . column + bias[column]`` plus a centre."""
        if axis == "user":
            tables = Tables.of_factors(row_RK, column_MK, center)
            return Tables(row_RK, column_MK, tables.user_bias_U, tables.item_bias_I + bias_M)
        tables = Tables.of_factors(column_MK, row_RK, center)
        return Tables(column_MK, row_RK, tables.user_bias_U + bias_M, tables.item_bias_I)


@dataclass(frozen=True, eq=False)
class PairScores:
    """The same from a model's predictions of single pairs, which is slower."""

    model: Recommender
    n_items: int
    domain: Domain = "target"

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""
        items = np.tile(np.arange(self.n_items, dtype=np.int32), len(users))
        pairs = np.repeat(np.asarray(users, np.int32), self.n_items)
        return self.model.predict(pairs, items, self.domain).reshape(len(users), self.n_items)


def all_scores(model: Recommender, n_items: int, domain: Domain = "target") -> AllScores:
    """Return what scores all items of a domain, from a model's present weights."""
    if isinstance(model, HasTables):
        return model.tables(domain)
    return PairScores(model, n_items, domain)
