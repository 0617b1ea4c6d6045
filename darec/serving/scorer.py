"""Scores by position: a model's raw predictions, with the cold policy where they mean nothing.

A position is a row of the model's tables, -1 for a user or item that is not in the data.
Shapes: N pairs, B users asked for, U users, I target items.
"""

from functools import cached_property
from typing import Literal

import numpy as np

from darec.core.cold import ColdPolicy, ColdRule
from darec.core.fold_in import FoldsIn, NewUser, OwnRatings, TrainedUsers
from darec.core.recommender import Recommender
from darec.core.tables import AllScores, HasItemFactors, HasTables, Tables, all_scores
from darec.data.ratings import LOWEST, Domain, FloatArray
from darec.data.split import Training
from darec.errors import UserError
from darec.models import kind_of
from darec.serving.ids import Positions

Cold = Literal[ColdPolicy, "source"]
"""The policies of evaluation, and ``source``: like ``fallback``, but users with source ratings only
are predicted by the model, if it learns something about a user from them."""


class Scorer:
    """A trained model and its cold policy."""

    def __init__(self, name: str, model: Recommender, training: Training, cold: Cold) -> None:
        self._name, self._model, self._training = name, model, training
        self._cold: ColdPolicy = "fallback" if cold == "source" else cold
        target = training.target
        is_answered = cold == "source" and kind_of(name).cold_users
        answered_U = (training.source.user_counts > 0) & is_answered
        self._rule = ColdRule(training, answered=answered_U)
        self.bias = self._rule.bias
        """The regularised biases, by which cold users and items are predicted."""
        zero, true = np.zeros(1, np.float32), [True]
        self._user_bias = np.concatenate([self.bias.user, zero])  # -1, the unknown, is the last
        self._item_bias = np.concatenate([self.bias.item, zero])
        self.is_cold_user = np.concatenate([(target.user_counts == 0) & ~answered_U, true])
        self.is_cold_item = np.concatenate([target.item_counts == 0, true])
        self._rows = target.rows("user")
        self._values = target.values[self._rows.order]

    def pairs(self, user_N: Positions, item_N: Positions) -> FloatArray:
        """Return the predictions of pairs f32[N], clipped where both are known."""
        mean = np.float32(self.bias.mean)
        stars_N: FloatArray = mean + self._user_bias[user_N] + self._item_bias[item_N]
        known_N = (user_N >= 0) & (item_N >= 0)
        users, items = user_N[known_N].astype(np.int32), item_N[known_N].astype(np.int32)
        raw = self._model.predict(users, items)
        stars_N[known_N] = self._rule.apply(raw, users, items, self._cold)
        if self._cold == "floor":
            stars_N[self.is_cold_item[item_N]] = LOWEST
        return stars_N

    def all_items(self, user_B: Positions) -> FloatArray:
        """Return the raw, unclipped scores of every target item f32[B, I]."""
        known_B = np.maximum(user_B, 0)
        score_BI = self._tables.scores(known_B)
        cold_B = self.is_cold_user[user_B]
        base_B1 = np.float32(self.bias.mean) + self._user_bias[user_B, None]
        score_BI[cold_B] = base_B1[cold_B] + self.bias.item
        cold_I = self.is_cold_item[:-1]
        score_BI[:, cold_I] = LOWEST if self._cold == "floor" else base_B1
        return score_BI

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

    def fold_in(self, user: NewUser) -> tuple[float, bool, FloatArray]:
        """Return a new user's bias, and the raw scores of all target items f32[I].

        Between them: whether the model learned something; otherwise the scores are the cold
        policy's. Raises `UserError` for a model that cannot predict for new users.
        """
        own = user["target"]
        bias = self.bias.rest_of(own) / (self.bias.reg_user + len(own))
        of_both = kind_of(self._name).cold_users or "source" in self._model.domains
        learns = bool(len(own) or (of_both and len(user["source"])))
        folded_I = self._folded_in(user)
        score_I = folded_I if learns else self.bias.of_all_items(bias)
        base = np.float32(self.bias.mean + bias)
        score_I[self.is_cold_item[:-1]] = LOWEST if self._cold == "floor" else base
        return bias, learns, score_I

    def unknown_item(self, user_bias: float) -> float:
        """Return the score of an item that is not in the data."""
        return LOWEST if self._cold == "floor" else self.bias.mean + user_bias

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
    def _tables(self) -> AllScores:
        return all_scores(self._model, self._training.target.n_items)

    def _folded_in(self, user: NewUser) -> FloatArray:
        found = self._model.fold_in(user) if isinstance(self._model, FoldsIn) else None
        return self._trained_users.fold_in(user) if found is None else found

    @cached_property
    def _trained_users(self) -> TrainedUsers:
        """The prior of a new user; raises `UserError` for a model without factors."""
        tables: dict[Domain, Tables] = {}
        for domain in self._model.domains:
            found = self._model.tables(domain) if isinstance(self._model, HasTables) else None
            if not isinstance(found, Tables):
                told = "cannot predict for new users: it would have to be trained with them"
                raise UserError(f"{self._name} {told}")
            tables[domain] = found
        training = self._training
        return TrainedUsers(tables, {"source": training.source, "target": training.target})
