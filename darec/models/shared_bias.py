"""mu_d + b_u + b_i with one bias per user for both domains: the simplest cross-domain model.

Shapes: U users.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.bias import REG_ITEM, REG_USER
from darec.core.config import STRICT
from darec.core.new_user import NewUser
from darec.core.recommender import Run
from darec.data.ratings import Domain, FloatArray
from darec.data.split import Training
from darec.models.bias import BiasConfig, BiasRecommender, Shrinkage


@dataclass(frozen=True, config=STRICT)
class SharedBiasConfig:
    """Hyper-parameters of the shared bias. The paper has no such baseline."""

    reg_user: Shrinkage = REG_USER
    """How strongly each user's bias is drawn to 0, as a number of ratings."""
    reg_item: Shrinkage = REG_ITEM
    """How strongly each item's bias is drawn to 0, as a number of ratings."""
    source_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of a source rating in a user's bias. A target rating has the weight 1."""


class SharedBias(BiasRecommender):
    """Fits, in turn, the item biases of each domain and the user biases over both domains."""

    reads_source = True

    def __init__(self, config: SharedBiasConfig, training: Training) -> None:
        super().__init__(BiasConfig(config.reg_user, config.reg_item), training)
        self._weight: dict[Domain, float] = {"target": 1.0, "source": config.source_weight}

    def train_epoch(self) -> dict[str, float]:
        """Do one sweep; return each domain's sum of squared training errors."""
        n_users = self._ratings["target"].n_users
        rests_U, counts_U = np.zeros(n_users), np.full(n_users, self.config.reg_user)
        for domain, ratings in self._ratings.items():
            bias = self._bias[domain].with_items(ratings, self.config.reg_item)
            self._bias[domain] = bias
            rests_U += self._weight[domain] * bias.user_residual_sums(ratings)
            counts_U += self._weight[domain] * ratings.user_counts
        user = (rests_U / counts_U).astype(np.float32)
        self._bias = {name: replace(bias, user=user) for name, bias in self._bias.items()}
        return self._losses()

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return mu + b_u + b_i of all target items, with b_u from both domains' ratings."""
        rest, count = 0.0, self.config.reg_user
        for domain, own in user.items():
            rest += self._weight[domain] * self._bias[domain].residual_sum(own)
            count += self._weight[domain] * len(own)
        return self._bias["target"].of_all_items(rest / count)


def build_shared_bias(config: SharedBiasConfig, training: Training, run: Run) -> SharedBias:
    """Build the shared bias. It runs on the CPU without randomness, so ``run`` has no effect."""
    return SharedBias(config, training)
