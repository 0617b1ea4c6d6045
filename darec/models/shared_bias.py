"""mu_d + b_u + b_i with one user bias for both domains: the simplest cross-domain model.

Shapes: U users.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.bias import REG_ITEM, REG_USER
from darec.core.config import STRICT
from darec.core.recommender import Run
from darec.data.ratings import Domain
from darec.data.split import Training
from darec.models.bias import BiasConfig, BiasRecommender, Shrinkage


@dataclass(frozen=True, config=STRICT)
class SharedBiasConfig:
    """Hyper-parameters of the shared bias; ours, the paper has no such baseline."""

    reg_user: Shrinkage = REG_USER
    """Ratings' worth of shrinkage of each user's bias towards 0, > 0."""
    reg_item: Shrinkage = REG_ITEM
    """Ratings' worth of shrinkage of each item's bias towards 0, > 0."""
    source_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What a source rating counts for in a user's bias, in target ratings, 0 to 1."""


class SharedBias(BiasRecommender):
    """Alternates item biases in each domain and user biases over both."""

    def __init__(self, config: SharedBiasConfig, training: Training) -> None:
        super().__init__(BiasConfig(config.reg_user, config.reg_item), training)
        self._weight: dict[Domain, float] = {"target": 1.0, "source": config.source_weight}

    def train_epoch(self) -> dict[str, float]:
        """Alternate once; return the squared training errors, summed per domain."""
        n_users = self._ratings["target"].n_users
        rests_U, counts_U = np.zeros(n_users), np.full(n_users, self.config.reg_user)
        for domain, ratings in self._ratings.items():
            bias = self._bias[domain].with_items(ratings, self.config.reg_item)
            self._bias[domain] = bias
            rests_U += self._weight[domain] * bias.user_rests(ratings)
            counts_U += self._weight[domain] * ratings.user_counts
        user = (rests_U / counts_U).astype(np.float32)
        self._bias = {name: replace(bias, user=user) for name, bias in self._bias.items()}
        return self._losses()


def build_shared_bias(config: SharedBiasConfig, training: Training, run: Run) -> SharedBias:
    """Build the shared bias; ``run`` is not needed: it is deterministic and runs on the CPU."""
    return SharedBias(config, training)
