"""Regularised biases mu + b_u + b_i: a baseline, the prediction of cold items, and a centre."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from darec.data.ratings import FloatArray, IntArray, Ratings

Center = Literal["none", "mean", "bias"]
REG_USER, REG_ITEM, SWEEPS = 10.0, 10.0, 10


@dataclass(frozen=True, eq=False)
class Bias:
    """Fitted biases in stars: ``mean``, ``user f32[U]`` and ``item f32[I]``.

    The bias of a user or item without ratings is 0.
    """

    mean: float
    user: FloatArray
    item: FloatArray

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return mu + b_u + b_i, f32[N], unclipped. A cold user or item adds 0."""
        return np.float32(self.mean) + self.user[users] + self.item[items]

    def residuals(self, ratings: Ratings) -> FloatArray:
        """Return the ratings minus their predictions, f32[N]."""
        return ratings.values - self.predict(ratings.users, ratings.items)

    @staticmethod
    def zero(ratings: Ratings, mean: float = 0.0) -> "Bias":
        """Return the bias of a domain that predicts ``mean`` for every pair."""
        user = np.zeros(ratings.n_users, np.float32)
        return Bias(mean, user, np.zeros(ratings.n_items, np.float32))

    @staticmethod
    def fit(
        ratings: Ratings,
        reg_user: float = REG_USER,
        reg_item: float = REG_ITEM,
        sweeps: int = SWEEPS,
    ) -> "Bias":
        """Fit the biases by alternating ridge means.

        An item's bias is ``sum(r - mu - b_u) / (reg_item + n_i)`` over its n_i ratings, and a
        user's bias follows in the same way. Raises ``ValueError`` when there is no rating.
        """
        if not len(ratings):
            raise ValueError("a bias needs at least one rating, but got none")
        bias = Bias.zero(ratings, float(ratings.values.mean(dtype=np.float64)))
        for _ in range(sweeps):
            bias = bias.sweep(ratings, reg_user, reg_item)
        return bias

    def sweep(self, ratings: Ratings, reg_user: float, reg_item: float) -> "Bias":
        """Return the biases after one more sweep: the items, then the users given the items."""
        bias = self.with_items(ratings, reg_item)
        user = bias.user_rests(ratings) / (reg_user + ratings.user_counts)
        return replace(bias, user=user.astype(np.float32))

    def with_items(self, ratings: Ratings, reg_item: float) -> "Bias":
        """Return the biases with those of the items fitted, given those of the users."""
        centred = ratings.values.astype(np.float64) - self.mean - self.user[ratings.users]
        rests = np.bincount(ratings.items, centred, ratings.n_items)
        item = rests / (reg_item + ratings.item_counts)
        return replace(self, item=item.astype(np.float32))

    def of_user(self, items: IntArray, values: FloatArray, reg_user: float = REG_USER) -> float:
        """Return the bias of a new user with these ratings, given the items' biases."""
        rest = values.astype(np.float64) - self.mean - self.item[items]
        return float(rest.sum() / (reg_user + len(items)))

    def of_all_items(self, user: float) -> FloatArray:
        """Return mu + b_i plus a user's bias, for all items f32[I]."""
        return np.float32(self.mean + user) + self.item

    def user_rests(self, ratings: Ratings) -> npt.NDArray[np.float64]:
        """Return the sum of r - mu - b_i over each user's ratings, f64[U]."""
        centred = ratings.values.astype(np.float64) - self.mean - self.item[ratings.items]
        return np.bincount(ratings.users, centred, ratings.n_users).astype(np.float64)


def center_of_user(kind: Center, bias: Bias, items: IntArray, values: FloatArray) -> float:
    """Return what the centre of a new user's ratings has of its own: the user's bias, or 0."""
    return bias.of_user(items, values) if kind == "bias" else 0.0


def center(kind: Center, ratings: Ratings) -> Bias:
    """Return what is subtracted from training ratings before training, and added to predictions.

    ``none`` subtracts nothing, as the paper does. ``mean`` and ``bias`` are ours (docs/paper.md).
    """
    if kind == "bias":
        return Bias.fit(ratings)
    return Bias.zero(ratings, float(ratings.values.mean()) if kind == "mean" else 0.0)
