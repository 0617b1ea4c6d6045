"""The hierarchical biases of both domains as a model of their own (`darec.core.mixed_model`).

Nothing is tuned. The fit happens at the start, since the cold rule needs the same biases.
"""

from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from darec.core.config import STRICT
from darec.core.hierarchical import (
    DOMAINS,
    HierarchicalBias,
    HierarchicalBiases,
    hierarchical_biases,
)
from darec.core.new_user import NewUser
from darec.core.recommender import Run, Weights
from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray
from darec.data.split import Training


@dataclass(frozen=True, config=STRICT)
class HierarchicalBiasConfig:
    """The hierarchical biases have no hyper-parameters."""


class HierarchicalBiasRecommender:
    """The hierarchical biases of both domains. Nothing is random."""

    domains = DOMAINS

    def __init__(self, training: Training) -> None:
        self._training = training
        self._biases = hierarchical_biases(training)

    def train_epoch(self) -> dict[str, float]:
        """Return the sums of squared training errors; the biases are fitted already."""
        losses = {}
        for domain in DOMAINS:
            errors = self._of(domain).residuals(self._training.of(domain))
            losses[f"loss_rating_{domain}"] = float(np.square(errors, dtype=np.float64).sum())
        return losses

    def _of(self, domain: Domain) -> HierarchicalBias:
        return HierarchicalBias(self._biases, domain)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the predictions f32[N]."""
        return self._of(domain).predict(users, items)

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of a domain."""
        return self._of(domain).tables()

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return the predictions of all target items for a new user with ratings in any domain."""
        return self._of("target").of_new_user(user)

    def weights(self) -> Weights:
        """Return all effects."""
        return self._biases.weights()

    def load_weights(self, weights: Weights) -> None:
        """Predict from these effects from now on."""
        self._biases = HierarchicalBiases.of_weights(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, which are the whole state."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved effects."""
        self.load_weights(state["weights"])


def build_hierarchical_bias(
    config: HierarchicalBiasConfig, training: Training, run: Run
) -> HierarchicalBiasRecommender:
    """Build the hierarchical biases. Neither ``config`` nor ``run`` has an effect."""
    return HierarchicalBiasRecommender(training)
