"""Predictions ``u . i`` plus a centre, from a user table and an item table for each domain.

Shapes: U users, I items, K factors, N ratings.
"""

from typing import Any

import numpy as np
import torch

from darec.core.center import CenterKind, fit_centers
from darec.core.recommender import Weights, check_domain
from darec.core.tables import Tables, add_dots
from darec.data.ratings import Domain, FloatArray, IntArray
from darec.data.split import Training


class Factors:
    """A recommender by tables in f32, which start at 0. Subclasses fit them in ``train_epoch``."""

    def __init__(
        self,
        training: Training,
        width: int,
        kind: CenterKind,
        domains: tuple[Domain, ...] = ("target",),
    ) -> None:
        self.domains = domains
        self.center = fit_centers(kind, training)
        ratings = {domain: training.of(domain) for domain in domains}
        self.ratings = {name: r.take(np.lexsort((r.items, r.users))) for name, r in ratings.items()}
        """The training ratings in the order of users, then items, however they were listed."""
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
        center = self.center[domain].tables()
        return center.plus_factors(self.user_UK[domain], self.item_IK[domain])

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
