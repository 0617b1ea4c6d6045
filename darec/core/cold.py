"""The only place that decides the prediction of a cold item or a cold user."""

from functools import cached_property
from typing import Literal

import numpy as np

from darec.core.bias import Bias
from darec.core.center import Center
from darec.core.hierarchical import HierarchicalBias, hierarchical_biases
from darec.core.metrics import clip, mae, rmse
from darec.data.ratings import LOWEST, BoolArray, Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training

ColdPolicy = Literal["hierarchical", "fallback", "floor"]
COLD: ColdPolicy = "hierarchical"
"""The policy of searches and of headline scores (docs/paper.md, the cold policy)."""


class ColdRule:
    """Replaces the predictions of items and users that have no training ratings.

    Under ``hierarchical``, the hierarchical biases predict cold items and cold users. Under
    ``fallback``, the regularised bias predicts both. Under ``floor``, a cold item gets the lowest
    rating, and the regularised bias predicts a cold user's ratings of other items.
    """

    def __init__(
        self, training: Training, domain: Domain = "target", answered: BoolArray | None = None
    ) -> None:
        """``answered`` marks users whom the model predicts though they have no training ratings."""
        ratings = training.of(domain)
        self._training, self._domain = training, domain
        self._cold_user = ratings.user_counts == 0
        if answered is not None:
            self._cold_user &= ~answered
        self._cold_item = ratings.item_counts == 0

    @cached_property
    def bias(self) -> Bias:
        """The regularised biases of the domain."""
        return Bias.fit(self._training.of(self._domain))

    @cached_property
    def hierarchical(self) -> HierarchicalBias:
        """The hierarchical biases of the domain."""
        return HierarchicalBias(hierarchical_biases(self._training), self._domain)

    def is_cold(self, users: IntArray, items: IntArray) -> BoolArray:
        """Return bool[N]: whether the item or the user of each pair is cold."""
        cold: BoolArray = self._cold_user[users] | self._cold_item[items]
        return cold

    def apply(
        self, raw: FloatArray, users: IntArray, items: IntArray, policy: ColdPolicy = COLD
    ) -> FloatArray:
        """Return predictions f32[N] with those of cold pairs replaced, clipped to [1, 5]."""
        final = self.unclipped(raw, users, items, policy)
        if policy == "floor":
            final = np.where(self._cold_item[items], np.float32(LOWEST), final)
        return clip(final)

    def unclipped(
        self, raw: FloatArray, users: IntArray, items: IntArray, policy: ColdPolicy = COLD
    ) -> FloatArray:
        """Return predictions f32[N] with those of cold pairs replaced by a bias prediction.

        Lists are ranked by them: clipped, many would be equal. With users [B, 1] and items [I] the
        predictions are f32[B, I].
        """
        stand_in = self.stand_in(policy).predict(users, items)
        return np.where(self.is_cold(users, items), stand_in, raw)

    def stand_in(self, policy: ColdPolicy) -> Center:
        """Return what predicts cold users under a policy, and cold items unless it is ``floor``."""
        return self.hierarchical if policy == "hierarchical" else self.bias

    def rmse(self, raw: FloatArray, held_out: Ratings, policy: ColdPolicy = COLD) -> float:
        """Return the RMSE of a model's predictions f32[N] of held-out ratings, after `apply`.

        It is in the units of the ratings' scale.
        """
        final = self.apply(raw, held_out.users, held_out.items, policy)
        return held_out.scale.unit * rmse(final, held_out.values)

    def mae(self, raw: FloatArray, held_out: Ratings) -> float:
        """Return the MAE of a model's predictions f32[N] of held-out ratings, after `apply`."""
        final = self.apply(raw, held_out.users, held_out.items)
        return held_out.scale.unit * mae(final, held_out.values)
