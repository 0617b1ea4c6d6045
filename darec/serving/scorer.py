"""Scores by position: a model's raw predictions, with the cold policy where they mean nothing.

A position is a row of the model's tables, -1 for a user or item that is not in the data.
Shapes: N pairs, B users asked for, U users, I target items, J: I and one that is not in the data.
"""

from functools import cached_property
from typing import Literal

import numpy as np

from darec.core.cold import COLD, ColdPolicy, ColdRule
from darec.core.fold_in import NewUsers
from darec.core.hierarchical import HierarchicalBias
from darec.core.new_user import NewUser, OwnRatings
from darec.core.recommender import Recommender
from darec.core.tables import AllScores, HasItemFactors, all_scores
from darec.data.ratings import LOWEST, FloatArray
from darec.data.split import Training
from darec.errors import UserError
from darec.models import kind_of
from darec.models.kind import reads_source
from darec.models.stack import Stack
from darec.serving.ids import Positions
from darec.serving.new_user import FoldedUser

Cold = Literal[ColdPolicy, "source"]
"""The policies of evaluation, and ``source``: like `COLD`, but a model of the cold-user task
(`darec.models.kind.ModelKind.cold_users`) predicts users with source ratings only by itself."""


class Scorer:
    """A trained model and its cold policy."""

    def __init__(self, name: str, model: Recommender, training: Training, cold: Cold) -> None:
        self._name, self._model, self._training = name, model, training
        self._cold: ColdPolicy = COLD if cold == "source" else cold
        target = training.target
        kind = kind_of(name)
        self._reads_source = reads_source(kind, model)
        answers = model.cold_users if isinstance(model, Stack) else kind.cold_users
        answered_U = (training.source.user_counts > 0) & (cold == "source" and answers)
        self._rule = ColdRule(training, answered=answered_U)
        self.base = self._rule.stand_in(self._cold).with_unknown()
        """The biases by which cold users and items are predicted."""
        self.is_cold_user = np.append((target.user_counts == 0) & ~answered_U, True)
        self.is_cold_item = np.append(target.item_counts == 0, True)
        self.scale, self.source_scale = target.scale, training.source.scale
        """The scales of the folder's ratings. All values here are stars."""
        self._rows = target.rows("user")
        self._values = target.values[self._rows.order]
        self._items = np.arange(target.n_items, dtype=np.int32)

    def pairs(self, user_N: Positions, item_N: Positions) -> FloatArray:
        """Return the predictions of pairs f32[N], clipped where both are known."""
        users, items = user_N.astype(np.int32), item_N.astype(np.int32)
        stars_N = self.base.predict(users, items)
        known_N = (users >= 0) & (items >= 0)
        users, items = users[known_N], items[known_N]
        raw = self._model.predict(users, items)
        stars_N[known_N] = self._rule.apply(raw, users, items, self._cold)
        if self._cold == "floor":
            stars_N[self.is_cold_item[item_N]] = LOWEST
        return stars_N

    def all_items(self, user_B: Positions) -> FloatArray:
        """Return the raw, unclipped scores of every target item f32[B, I]."""
        known_B = np.maximum(user_B, 0)
        score_BI = self._tables.scores(known_B)
        user_B1, cold_B = user_B.astype(np.int32)[:, None], self.is_cold_user[user_B]
        score_BI[cold_B] = self.base.predict(user_B1[cold_B], self._items)
        cold_I, is_floor = self.is_cold_item[:-1], self._cold == "floor"
        at_cold = LOWEST if is_floor else self.base.predict(user_B1, self._items[cold_I])
        score_BI[:, cold_I] = at_cold
        return score_BI

    def std(self, user_N: Positions, item_N: Positions) -> FloatArray:
        """Return the standard deviations f32[N] of ratings around their predictions, in stars.

        They are those of the hierarchical biases.
        """
        return self._hierarchical.std(user_N.astype(np.int32), item_N.astype(np.int32))

    def std_of_all_items(self, user_B: Positions) -> FloatArray:
        """Return the same of every target item, f32[B, I]."""
        return self._hierarchical.std(user_B.astype(np.int32)[:, None], self._items)

    def rated(self, user: int) -> OwnRatings:
        """Return the target ratings that the model knows of a user."""
        part = slice(self._rows.starts[user], self._rows.starts[user + 1])
        return OwnRatings(self._rows.columns[part], self._values[part])

    def rated_by(self, user_B: Positions) -> tuple[Positions, Positions]:
        """Return the row among these users, and the item, of each target rating of theirs."""
        known = np.flatnonzero(user_B >= 0)
        rated = [self.rated(user).items for user in user_B[known]]
        counts = [len(items) for items in rated]
        return np.repeat(known, counts), np.concatenate([np.zeros(0, np.int64), *rated])

    def fold_in(self, user: NewUser, id: str = "new user") -> FoldedUser:
        """Return a new user with the raw scores of all target items.

        Without anything that the model learns from, the scores are the cold policy's.
        Raises `UserError` for a model that cannot predict for new users.
        """
        learns = bool(len(user["target"]) or (self._reads_source and len(user["source"])))
        folded_I, base_J = self._folded_in(user), self.base.of_new_user(user)
        score_J = np.append(folded_I, base_J[-1:]) if learns else base_J.copy()
        cold_J = self.is_cold_item
        score_J[cold_J] = LOWEST if self._cold == "floor" else base_J[cold_J]
        std_J = self._hierarchical.std_of_new_user(user)
        own = user["source"], user["target"]
        return FoldedUser(id, *own, not learns, score_J, base_J, std_J)

    def similarity(self, item: int) -> FloatArray:
        """Return the cosine of each item's factors with an item's f32[I]; -inf for cold items.

        The mean of all factors is subtracted first: what all items have in common, such as the
        middle of a sigmoid, says nothing of their likeness.
        Raises `UserError` for a model without factors of items.
        """
        table, warm_I = self._tables, ~self.is_cold_item[:-1]
        if not isinstance(table, HasItemFactors) or not table.item_IK.shape[1]:
            raise UserError(f"{self._name} has no factors of items to compare")
        own_IK = table.item_IK
        own_IK = own_IK - own_IK[warm_I].mean(0)
        norm_I = np.linalg.norm(own_IK, axis=1)
        cosine_I: FloatArray = own_IK @ own_IK[item] / np.maximum(1e-12, norm_I * norm_I[item])
        return np.where(warm_I, cosine_I, np.float32(-np.inf))

    @cached_property
    def _hierarchical(self) -> HierarchicalBias:
        return self._rule.hierarchical.with_unknown()

    @cached_property
    def _tables(self) -> AllScores:
        return all_scores(self._model, self._training.target.n_items)

    def _folded_in(self, user: NewUser) -> FloatArray:
        folded_I = self._new_users.fold_in(user)
        if folded_I is None:
            message = "cannot predict for new users: it would have to be trained with them"
            raise UserError(f"{self._name} {message}")
        return folded_I

    @cached_property
    def _new_users(self) -> NewUsers:
        return NewUsers(self._model, self._training)
