"""A new user: a person who is not in the training data and is known by some ratings alone.

Shapes: n ratings of the new user, U trained users, X columns of tables and a bias, I target items.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings


@dataclass(frozen=True, eq=False)
class OwnRatings:
    """A new user's ratings in one domain: distinct items i32[n], and stars f32[n]."""

    items: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.items)


Matrix = npt.NDArray[np.float64]
NewUser = Mapping[Domain, OwnRatings]
"""A new user's ratings in both domains."""


@runtime_checkable
class FoldsIn(Protocol):
    """A recommender that has a way of its own to predict for a new user without training."""

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return raw predictions of all target items f32[I].

        None: its hyper-parameters leave it no way of its own.
        """


class TrainedUsers:
    """What a factor model has learned of all users: the prior of a new one.

    The users' factors and biases are taken for draws from one Gaussian, and ratings for what they
    predict plus noise, whose variance is that of the model's errors on its training ratings. A new
    user is then a ridge solution. The factors of the two domains may be correlated: so source
    ratings can say something about the target.
    """

    def __init__(self, tables: Mapping[Domain, Tables], training: Mapping[Domain, Ratings]) -> None:
        known_U = np.zeros(training["target"].n_users, bool)
        for domain in tables:
            known_U |= training[domain].user_counts > 0
        self._tables, weights = tables, {}
        self._noise: dict[Domain, float] = {}
        for domain, table in tables.items():
            weight_UX = np.column_stack([table.user_UX, table.user_bias_U])[known_U]
            weights[domain] = weight_UX.astype(np.float64)
            known = training[domain]
            errors_N = known.values - table.of_pairs(known.users, known.items)
            self._noise[domain] = max(1e-6, float(np.square(errors_N, dtype=np.float64).mean()))
        self._mean_X: dict[Domain, Matrix] = {d: w.mean(0) for d, w in weights.items()}
        centred = {domain: weight - self._mean_X[domain] for domain, weight in weights.items()}
        n_users = int(known_U.sum())
        self._covariance_XX = {
            (one, other): centred[one].T @ centred[other] / n_users
            for one in tables
            for other in tables
        }

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return raw predictions of all target items for a new user, f32[I].

        With the mean m and the covariance S of the trained users' weights, and the features F of
        the rated items, the new user's weights are ``m + S F' (F S F' + noise)^-1 (y - F m)``.
        """
        features, rests, noise = {}, [], []
        for domain, table in self._tables.items():
            own = user[domain]
            feature_nX = np.column_stack([table.item_IX[own.items], np.ones(len(own))])
            features[domain] = feature_nX
            mean_n = table.item_bias_I[own.items] + feature_nX @ self._mean_X[domain]
            rests.append(own.values - mean_n)
            noise.append(np.full(len(own), self._noise[domain]))
        shared = {
            one: np.hstack([self._covariance_XX[one, d] @ f.T for d, f in features.items()])
            for one in self._tables
        }
        gram_nn = np.vstack([feature_nX @ shared[d] for d, feature_nX in features.items()])
        gram_nn += np.diag(np.concatenate(noise))
        answer_n = np.linalg.solve(gram_nn, np.concatenate(rests))
        *weights, bias = self._mean_X["target"] + shared["target"] @ answer_n
        target = self._tables["target"]
        scores_I: FloatArray = target.item_IX @ np.asarray(weights, np.float32)
        return scores_I + target.item_bias_I + np.float32(bias)
