"""Predictions for a new user, a person who is not in the training data, without training.

Shapes: n ratings of the new user, U trained users, X columns of tables and a bias, I target items.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from darec.core.new_user import NewUser
from darec.core.recommender import Recommender
from darec.core.tables import HasTables, Tables
from darec.data.ratings import Domain, FloatArray, Ratings
from darec.data.split import Training

Matrix = npt.NDArray[np.float64]


@runtime_checkable
class FoldsIn(Protocol):
    """A recommender with its own method to predict for a new user without training."""

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return raw predictions of all target items f32[I].

        None: with these hyper-parameters the model has no such method.
        """


class NewUsers:
    """How a trained model predicts for new users: by its own method, or from its factors."""

    def __init__(self, model: Recommender, training: Training) -> None:
        self._model, self._training = model, training

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return raw predictions of all target items f32[I]; None if the model has no method."""
        found = self._model.fold_in(user) if isinstance(self._model, FoldsIn) else None
        if found is None and self._trained_users is not None:
            found = self._trained_users.fold_in(user)
        return found

    @cached_property
    def _trained_users(self) -> "TrainedUsers | None":
        """The prior of a new user; None for a model without factors."""
        tables: dict[Domain, Tables] = {}
        for domain in self._model.domains:
            found = self._model.tables(domain) if isinstance(self._model, HasTables) else None
            if not isinstance(found, Tables):
                return None
            tables[domain] = found
        training = self._training
        return TrainedUsers(tables, {"source": training.source, "target": training.target})


class TrainedUsers:
    """What a factor model has learned of all users: the prior of a new one.

    A new user gets the centre for their ratings (`darec.core.center`), plus weights on the model's
    own factors. The prior of these weights is one Gaussian, fitted to the trained users' weights.
    A rating is the model's prediction plus Gaussian noise, whose variance is that of the model's
    errors on its training ratings. So the posterior mean of the weights is a ridge solution. The
    weights of the two domains may be correlated: source ratings can say something about the target.
    """

    def __init__(self, tables: Mapping[Domain, Tables], training: Mapping[Domain, Ratings]) -> None:
        known_U = np.zeros(training["target"].n_users, bool)
        for domain in tables:
            known_U |= training[domain].user_counts > 0
        self._tables = tables
        self._own = {domain: table.without_center() for domain, table in tables.items()}
        weights, self._noise = {}, dict[Domain, float]()
        for domain, own in self._own.items():
            weight_UX = np.column_stack([own.user_UX, own.user_bias_U])[known_U]
            weights[domain] = weight_UX.astype(np.float64)
            known = training[domain]
            errors_N = known.values - tables[domain].of_pairs(known.users, known.items)
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
        the rated items, the new user's weights are ``m + S F' (F S F' + noise)^-1 (y - F m)``,
        where y is the ratings minus the centre and minus the biases of the items.
        """
        features, rests, noise = {}, [], []
        for domain, own in self._own.items():
            rated = user[domain]
            feature_nX = np.column_stack([own.item_IX[rated.items], np.ones(len(rated))])
            features[domain] = feature_nX
            base_I = self._tables[domain].base_of(user) + own.item_bias_I
            mean_n = base_I[rated.items] + feature_nX @ self._mean_X[domain]
            rests.append(rated.values - mean_n)
            noise.append(np.full(len(rated), self._noise[domain]))
        shared = {
            one: np.hstack([self._covariance_XX[one, d] @ f.T for d, f in features.items()])
            for one in self._tables
        }
        gram_nn = np.vstack([feature_nX @ shared[d] for d, feature_nX in features.items()])
        gram_nn += np.diag(np.concatenate(noise))
        answer_n = np.linalg.solve(gram_nn, np.concatenate(rests))
        *weights, bias = self._mean_X["target"] + shared["target"] @ answer_n
        own = self._own["target"]
        scores_I: FloatArray = own.item_IX @ np.asarray(weights, np.float32)
        base_I = self._tables["target"].base_of(user)
        return base_I + scores_I + own.item_bias_I + np.float32(bias)
