"""Regularised biases mu + b_u + b_i: a baseline, the prediction of cold items, and a centre."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from darec.core.new_user import NewUser, OwnRatings
from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings

REG_USER, REG_ITEM, SWEEPS = 10.0, 10.0, 10
ZERO = np.float32(0)


@dataclass(frozen=True, eq=False)
class Bias:
    """Fitted biases in stars: ``mean``, ``user f32[U]`` and ``item f32[I]``.

    The bias of a user or item without ratings is 0.
    """

    mean: float
    user: FloatArray
    item: FloatArray
    reg_user: float = math.inf
    """The ridge of users' biases, as a number of ratings. With inf they are 0, as in a mean."""
    domain: Domain = "target"
    """The domain of the biases. Of a new user, the ratings in this domain count."""

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
        user = bias.user_residual_sums(ratings) / (reg_user + ratings.user_counts)
        return replace(bias, user=user.astype(np.float32), reg_user=reg_user)

    def with_items(self, ratings: Ratings, reg_item: float) -> "Bias":
        """Return the biases with those of the items fitted, given those of the users."""
        centred = ratings.values.astype(np.float64) - self.mean - self.user[ratings.users]
        rests = np.bincount(ratings.items, centred, ratings.n_items)
        item = rests / (reg_item + ratings.item_counts)
        return replace(self, item=item.astype(np.float32))

    def residual_sum(self, own: OwnRatings) -> float:
        """Return the sum of r - mu - b_i over a new user's ratings."""
        return float((own.values.astype(np.float64) - self.mean - self.item[own.items]).sum())

    def of_all_items(self, user: float = 0.0) -> FloatArray:
        """Return mu + b_i plus a user's bias, for all items f32[I]."""
        return np.float32(self.mean + user) + self.item

    def of_new_user(self, user: NewUser) -> FloatArray:
        """Return mu + b_u + b_i of all items f32[I], with b_u fitted to a new user's ratings."""
        own = user[self.domain]
        return self.of_all_items(self.residual_sum(own) / (self.reg_user + len(own)))

    def tables(self) -> Tables:
        """Return tables without factors."""
        user_U0, item_I0 = (np.zeros((len(b), 0), np.float32) for b in (self.user, self.item))
        return Tables(user_U0, item_I0, self.user, self.of_all_items(), center=self)

    def with_unknown(self) -> "Bias":
        """Return the same biases with one more user and item, whose biases are 0."""
        return replace(self, user=np.append(self.user, ZERO), item=np.append(self.item, ZERO))

    def user_residual_sums(self, ratings: Ratings) -> npt.NDArray[np.float64]:
        """Return the sum of r - mu - b_i over each user's ratings, f64[U]."""
        centred = ratings.values.astype(np.float64) - self.mean - self.item[ratings.items]
        return np.bincount(ratings.users, centred, ratings.n_users).astype(np.float64)
