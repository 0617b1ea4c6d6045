"""The regularised bias baseline, mu + b_u + b_i. An epoch is one sweep of ridge means."""

from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.bias import REG_ITEM, REG_USER, Bias
from darec.core.config import STRICT
from darec.core.new_user import NewUser
from darec.core.recommender import Run, Weights
from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training

Shrinkage = Annotated[float, Field(ge=1e-9, le=1e6)]
"""Strength of a ridge, as a number of ratings."""


@dataclass(frozen=True, config=STRICT)
class BiasConfig:
    """Hyper-parameters of mu + b_u + b_i. The paper has no such baseline."""

    reg_user: Shrinkage = REG_USER
    """How strongly each user's bias is drawn to 0, as a number of ratings."""
    reg_item: Shrinkage = REG_ITEM
    """How strongly each item's bias is drawn to 0, as a number of ratings."""


class BiasRecommender:
    """The biases of both domains, fitted independently. Nothing is random."""

    domains: tuple[Domain, ...] = ("target", "source")
    reads_source = False
    """Whether source ratings change what it predicts for a user of the target."""

    def __init__(self, config: BiasConfig, training: Training) -> None:
        self.config = config
        self._ratings: dict[Domain, Ratings] = {
            "target": training.target,
            "source": training.source,
        }
        self._bias: dict[Domain, Bias] = {
            domain: replace(
                Bias.zero(ratings, float(ratings.values.mean())), reg_user=config.reg_user
            )
            for domain, ratings in self._ratings.items()
        }

    def train_epoch(self) -> dict[str, float]:
        """Do a sweep in each domain; return the sums of squared training errors."""
        for domain, ratings in self._ratings.items():
            bias = self._bias[domain].sweep(ratings, self.config.reg_user, self.config.reg_item)
            self._bias[domain] = bias
        return self._losses()

    def _losses(self) -> dict[str, float]:
        losses = {}
        for domain, ratings in self._ratings.items():
            errors = self._bias[domain].predict(ratings.users, ratings.items) - ratings.values
            losses[f"loss_rating_{domain}"] = float(errors @ errors)
        return losses

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return mu + b_u + b_i, f32[N]."""
        return self._bias[domain].predict(users, items)

    def tables(self, domain: Domain = "target") -> Tables:
        """Return tables without factors."""
        return self._bias[domain].tables()

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return mu + b_u + b_i of all target items, with the ridge mean of a new user's rests."""
        return self._bias["target"].of_new_user(user)

    def weights(self) -> Weights:
        """Return the biases of both domains. The means follow from the data."""
        return {
            f"{domain}.{part}": torch.from_numpy(getattr(bias, part))
            for domain, bias in self._bias.items()
            for part in ("user", "item")
        }

    def load_weights(self, weights: Weights) -> None:
        """Predict from these biases from now on."""
        for domain, bias in self._bias.items():
            user, item = (weights[f"{domain}.{part}"].numpy() for part in ("user", "item"))
            self._bias[domain] = replace(bias, user=user, item=item)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, which are the whole state."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved biases."""
        self.load_weights(state["weights"])


def build_bias(config: BiasConfig, training: Training, run: Run) -> BiasRecommender:
    """Build the bias baseline. It runs on the CPU without randomness, so ``run`` has no effect."""
    return BiasRecommender(config, training)
