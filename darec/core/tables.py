"""Predictions of all items of a domain for some users at once, by matrix products where possible.

Shapes: U users, I items, K factors, X columns (the factors and those of the centre), R rows and M
columns of a rating matrix, B users asked for.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from darec.core.new_user import NewUser
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


class HasBase(Protocol):
    """The methods of a centre that `Tables` uses (`darec.core.center.Center`)."""

    def of_new_user(self, user: NewUser) -> FloatArray:
        """Return the predictions of all items for a new user, f32[I]."""

    def tables(self) -> "Tables":
        """Return the centre's own tables."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Predictions ``user[u] . item[i] + user_bias[u] + item_bias[i]``, all in f32."""

    user_UX: FloatArray
    item_IX: FloatArray
    user_bias_U: FloatArray
    item_bias_I: FloatArray
    n_factors: int = 0
    """The first columns are the model's factors; the others belong to the centre."""
    center: HasBase | None = None
    """The centre that they include; None: there is none."""

    @property
    def item_IK(self) -> FloatArray:
        """The factors of each item, without the columns of the centre."""
        return self.item_IX[:, : self.n_factors]

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""
        scores_BI: FloatArray = self.user_UX[users] @ self.item_IX.T
        scores_BI += self.user_bias_U[users, None]
        scores_BI += self.item_bias_I
        return scores_BI

    def of_pairs(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the unclipped predictions of single pairs, f32[N]."""
        scores = self.user_bias_U[users] + self.item_bias_I[items]
        add_dots(scores, self.user_UX, self.item_IX, users, items)
        return scores

    def plus_factors(self, user_UK: FloatArray, item_IK: FloatArray) -> "Tables":
        """Return these tables plus a dot product of further factors."""
        user_UX, item_IX = np.hstack([user_UK, self.user_UX]), np.hstack([item_IK, self.item_IX])
        n_factors = user_UK.shape[1] + self.n_factors
        return replace(self, user_UX=user_UX, item_IX=item_IX, n_factors=n_factors)

    def without_center(self) -> "Tables":
        """Return the model's own factors and biases."""
        if self.center is None:
            return self
        base, n = self.center.tables(), self.n_factors
        user_U, item_I = self.user_bias_U - base.user_bias_U, self.item_bias_I - base.item_bias_I
        return Tables(self.user_UX[:, :n], self.item_IX[:, :n], user_U, item_I, n)

    def base_of(self, user: NewUser) -> FloatArray:
        """Return the centre of all items for a new user f32[I]; 0 without a centre."""
        if self.center is None:
            return np.zeros(len(self.item_bias_I), np.float32)
        return self.center.of_new_user(user)

    def plus_rows(
        self, axis: Axis, row_RK: FloatArray, column_MK: FloatArray, bias_M: FloatArray
    ) -> "Tables":
        """Return these tables plus ``row . column + bias[column]``."""
        if axis == "user":
            return self.plus_factors(row_RK, column_MK).plus_biases(0.0, bias_M)
        return self.plus_factors(column_MK, row_RK).plus_biases(bias_M, 0.0)

    def plus_biases(self, user_U: FloatArray | float, item_I: FloatArray | float) -> "Tables":
        """Return these tables plus further biases."""
        return replace(
            self, user_bias_U=self.user_bias_U + user_U, item_bias_I=self.item_bias_I + item_I
        )


@dataclass(frozen=True, eq=False)
class PairScores:
    """`AllScores` from a model's predictions of single pairs. This is slower than `Tables`."""

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
