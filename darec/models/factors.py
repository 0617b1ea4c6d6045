"""Predictions ``u . i`` plus a centre, from a user table and an item table for each domain.

Shapes: U users, I items, K factors, N ratings.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from darec.core.bias import Center, center, center_of_user
from darec.core.fold_in import OwnRatings
from darec.core.recommender import Weights, check_domain
from darec.core.tables import Tables, add_dots
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings


class Factors:
    """A recommender by tables in f32, which start at 0. Subclasses fit them in ``train_epoch``."""

    def __init__(self, ratings: Mapping[Domain, Ratings], width: int, kind: Center) -> None:
        self.domains: tuple[Domain, ...] = tuple(ratings)
        self.ratings = {
            domain: of_domain.take(np.lexsort((of_domain.items, of_domain.users)))
            for domain, of_domain in ratings.items()
        }
        """The training ratings in the order of users, then items, however they were listed."""
        self.center_kind = kind
        self.center = {domain: center(kind, of_domain) for domain, of_domain in ratings.items()}
        self.user_UK = {
            name: np.zeros((r.n_users, width), np.float32) for name, r in ratings.items()
        }
        self.item_IK = {
            name: np.zeros((r.n_items, width), np.float32) for name, r in ratings.items()
        }

    def residuals(self, domain: Domain) -> FloatArray:
        """Return the training ratings minus their centre, f32[N]."""
        return self.center[domain].residuals(self.ratings[domain])

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return ``u . i`` plus the centre, f32[N]; raises ``ValueError`` for an unknown domain."""
        check_domain(self.domains, domain)
        scores = self.center[domain].predict(users, items)
        add_dots(scores, self.user_UK[domain], self.item_IK[domain], users, items)
        return scores

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of a domain, with the centre as biases."""
        check_domain(self.domains, domain)
        return Tables.of_factors(self.user_UK[domain], self.item_IK[domain], self.center[domain])

    def centered(self, domain: Domain, own: OwnRatings) -> tuple[float, FloatArray]:
        """Return a new user's own part of a domain's centre, and the ratings minus the centre."""
        bias = self.center[domain]
        b_user = center_of_user(self.center_kind, bias, own.items, own.values)
        return b_user, own.values - bias.of_all_items(b_user)[own.items]

    def losses(self) -> dict[str, float]:
        """Return the sum of squared training errors of each domain."""
        found = {}
        for domain, ratings in self.ratings.items():
            errors = self.predict(ratings.users, ratings.items, domain) - ratings.values
            found[f"loss_rating_{domain}"] = float(np.square(errors, dtype=np.float64).sum())
        return found

    def weights(self) -> Weights:
        """Return the tables. The centre follows from the data."""
        sides = {"user": self.user_UK, "item": self.item_IK}
        return {
            f"{domain}.{side}": torch.from_numpy(table)
            for side, tables in sides.items()
            for domain, table in tables.items()
        }

    def load_weights(self, weights: Weights) -> None:
        """Predict from these tables from now on."""
        for domain in self.domains:
            self.user_UK[domain] = weights[f"{domain}.user"].numpy()
            self.item_IK[domain] = weights[f"{domain}.item"].numpy()

    def state_dict(self) -> dict[str, Any]:
        """Return the tables, which are the whole state of a fit of one epoch."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved tables."""
        self.load_weights(state["weights"])
