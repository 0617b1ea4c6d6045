"""A trained model in use: predictions and recommendations by the ids of users and items.

Shapes: N pairs, B users asked for, U users, I target items, n recommendations of a user.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from darec.core.metrics import clip
from darec.core.new_user import OwnRatings
from darec.core.top import highest
from darec.data.ratings import Domain, FloatArray
from darec.errors import UserError
from darec.serving.card import Card
from darec.serving.checks import check_choice, check_lower_bound, check_n
from darec.serving.explain import Explanation, explanation
from darec.serving.ids import Ids, Positions, Unknown, listed
from darec.serving.new_user import FoldedUser, Given, own_ratings
from darec.serving.scorer import Scorer

SCORES_AT_ONCE = 2**22
"""Scores that are in memory at once, 16 MiB and the temporaries of the model."""


class LoadedModel:
    """A model folder in use (`darec.load`)."""

    def __init__(self, card: Card, scorer: Scorer, ids: Mapping[str, Ids]) -> None:
        self.card = card
        self.user_ids, self.item_ids = ids["user"], ids["item"]
        self.source_item_ids = ids["source item"]
        self._scorer = scorer
        self.scale, self.source_scale = scorer.scale, scorer.source_scale

    def __repr__(self) -> str:
        card, counts = self.card, self.card.counts
        size = f"{counts.users} users, {counts.target_items} items"
        return f"<{card.model} on {card.pair}: {size}, trained on {card.refit}>"

    def predict(
        self,
        users: "Iterable[str | FoldedUser] | FoldedUser | pd.DataFrame",
        items: Iterable[str] | None = None,
        *,
        unknown: Unknown = "cold",
        return_std: bool = False,
    ) -> Any:
        """Return the predicted ratings of pairs of a user and an item.

        Args:
            users: An id for each pair, or a `FoldedUser` in its place; or one `FoldedUser` for all
                pairs; or a table with the columns ``user`` and ``item``.
            items: An id for each pair; None with a table.
            unknown: ``cold`` predicts unknown ids like cold ones, ``raise`` refuses them.
            return_std: Whether to return also the standard deviation of each rating around its
                prediction, in the same units. It is computed by the hierarchical biases of the
                training ratings. It is that of the predictions of these biases, by the model
                ``hierarchical_bias`` or by the cold policy. For other predictions it is a stand-in,
                which ignores how much the model improves on the biases.

        Returns:
            Ratings f32[N] within the target's scale; with ``return_std`` a pair of these and the
            standard deviations f32[N], in the same units. For a table: the table with the column
            ``prediction``, and with the column ``std``.

        Raises:
            UserError: There is not one item for each user, a column is missing, an id is no
                string, or an id is unknown and ``unknown`` is ``raise``.
        """
        if isinstance(users, pd.DataFrame):
            for name in ("user", "item"):
                if name not in users:
                    columns = ", ".join(map(str, users.columns))
                    raise UserError(f"the table must have the column {name}, but has: {columns}")
            if items is not None:
                raise UserError("give either a table or users and items")
            found = self.predict(
                users["user"], users["item"], unknown=unknown, return_std=return_std
            )
            rating_N, *std_N = found if return_std else (found,)
            return users.assign(prediction=rating_N, **dict(zip(["std"], std_N, strict=False)))
        asked = listed(items, "items")
        of_pairs = [users] * len(asked) if isinstance(users, FoldedUser) else listed(users, "users")
        if len(of_pairs) != len(asked):
            rule = f"there must be one item for each of {len(of_pairs)} users"
            raise UserError(f"{rule}, but got {len(asked)}")
        item_N = self.item_ids.positions(asked, unknown)
        new = {k: user for k, user in enumerate(of_pairs) if isinstance(user, FoldedUser)}
        known = [k for k in range(len(of_pairs)) if k not in new] if new else slice(None)
        names = [user for user in of_pairs if not isinstance(user, FoldedUser)] if new else of_pairs
        stars_N = np.empty(len(of_pairs), np.float32)
        user_N = self.user_ids.positions(names, unknown)
        stars_N[known] = self._scorer.pairs(user_N, item_N[known])
        for k, user in new.items():
            stars_N[k] = user.scores_J[item_N[k]]
        rating_N = self.scale.from_stars(clip(stars_N))
        if not return_std:
            return rating_N
        std_N = np.empty(len(of_pairs), np.float32)
        std_N[known] = self._scorer.std(user_N, item_N[known])
        for k, user in new.items():
            std_N[k] = user.std_J[item_N[k]]
        return rating_N, np.float32(self.scale.unit) * std_N

    def recommend(
        self,
        users: "Iterable[str | FoldedUser] | FoldedUser",
        n: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: Unknown = "cold",
        lower_bound: float = 0.0,
    ) -> pd.DataFrame:
        """Return the n target items with the highest scores for each user.

        Args:
            users: Ids, or a `FoldedUser` in the place of one; or one `FoldedUser`.
            n: Number of items for each user.
            exclude_seen: Whether to leave out what a user has rated in the training ratings. A
                model of ``refit="train"`` does not know the validation and test ratings.
            unknown: ``cold`` recommends by the cold policy to unknown users, ``raise`` refuses
                them.
            lower_bound: A score is the prediction minus this many standard deviations (see
                `predict`): the more, the safer are the items.

        Returns:
            A table of user, item, score and rank (1 is the best). Scores are in the target's units
            and not clipped, since clipped ones have many ties at the highest rating.

        Raises:
            UserError: ``n`` is no positive whole number, ``lower_bound`` is negative or no number,
                an id is no string, or a user is unknown and ``unknown`` is ``raise``.
        """
        check_n(n)
        check_lower_bound(lower_bound)
        users = [users] if isinstance(users, FoldedUser) else listed(users, "users")
        names = [user.id if isinstance(user, FoldedUser) else user for user in users]
        known = [k for k, user in enumerate(users) if not isinstance(user, FoldedUser)]
        positions = self.user_ids.positions([users[k] for k in known], unknown)
        n = min(n, len(self.item_ids))
        item_Bn = np.full((len(users), n), -1, np.int64)
        score_Bn = np.full((len(users), n), -np.inf, np.float32)
        item_Bn[known], score_Bn[known] = self.top(positions, n, exclude_seen, lower_bound)
        for k, user in enumerate(users):
            if isinstance(user, FoldedUser):
                score_1I = (user.scores_J - np.float32(lower_bound) * user.std_J)[None, :-1]
                if exclude_seen:
                    score_1I[0, user.target.items] = -np.inf
                item_Bn[[k]], star_1n = highest(score_1I, n)
                score_Bn[[k]] = self.scale.from_stars(star_1n)
        row, rank = np.nonzero(item_Bn >= 0)
        picked = item_Bn[row, rank]
        return pd.DataFrame(
            {
                "user": np.array(names, object)[row],
                "item": self.item_ids.ids[picked],
                "score": score_Bn[row, rank],
                "rank": rank + 1,
            }
        )

    def top(
        self, positions: Positions, n: int, exclude_seen: bool = True, lower_bound: float = 0.0
    ) -> tuple[Positions, FloatArray]:
        """Return the positions i64[B, n] and scores f32[B, n] of each user's best items.

        The scores are raw predictions in the target's units, minus ``lower_bound`` standard
        deviations.

        Where fewer than n items are left, the last positions are -1.
        """
        n = min(n, len(self.item_ids))
        item_Bn = np.empty((len(positions), n), np.int64)
        score_Bn = np.empty((len(positions), n), np.float32)
        for begin in range(0, len(positions), self.users_at_once):
            part = slice(begin, begin + self.users_at_once)
            score_BI = self._scorer.all_items(positions[part])
            if lower_bound:
                std_BI = self._scorer.std_of_all_items(positions[part])
                score_BI -= np.float32(lower_bound) * std_BI
            if exclude_seen:
                score_BI[self._scorer.rated_by(positions[part])] = -np.inf
            item_Bn[part], star_Bn = highest(score_BI, n)
            score_Bn[part] = self.scale.from_stars(star_Bn)
        return item_Bn, score_Bn

    @property
    def users_at_once(self) -> int:
        """How many users have `SCORES_AT_ONCE` scores."""
        return max(1, SCORES_AT_ONCE // len(self.item_ids))

    def scores(self, positions: Positions) -> FloatArray:
        """Return the raw, unclipped scores of every target item f32[B, I], cold ones included."""
        return self.scale.from_stars(self._scorer.all_items(positions))

    def similar_items(self, item: str, n: int = 10) -> pd.DataFrame:
        """Return the n target items whose centred factors are most like an item's, by their cosine.

        Returns:
            A table of item, similarity (-1 to 1) and rank.

        Raises:
            UserError: The item is unknown or cold, or the model has no factors of items.
        """
        check_n(n)
        (position,) = self.item_ids.positions([item], "raise")
        if self._scorer.is_cold_item[position]:
            raise UserError(f"item {item!r} has no training ratings to compare it by")
        similarity_I = self._scorer.similarity(position)
        similarity_I[position] = -np.inf
        items, found = (part[0] for part in highest(similarity_I[None], n))
        kept = items >= 0
        return pd.DataFrame(
            {
                "item": self.item_ids.ids[items[kept]],
                "similarity": found[kept],
                "rank": 1 + np.arange(kept.sum()),
            }
        )

    def fold_in(
        self,
        source: Given = (),
        target: Given = (),
        id: str = "new user",
        unknown: Literal["raise", "skip"] = "raise",
    ) -> FoldedUser:
        """Return a person who was not in the data, to predict and recommend for.

        Models with a row for each user encode the person's ratings. Biases are posterior means.
        Factor models look for the factors that explain the ratings best and are usual among the
        trained users (`darec.core.fold_in`). A model that knows the target alone learns nothing
        from source ratings, and predicts a person without target ratings by the cold policy.

        Args:
            source: Source items and their ratings, on the source's scale: pairs, a mapping, or a
                table with the columns ``item`` and ``rating``.
            target: Target items and their ratings, on the target's scale.
            id: How tables name the person.
            unknown: ``raise`` refuses items that the model does not know, ``skip`` leaves them out.

        Raises:
            UserError: An item is unknown or given twice, a rating is outside the scale, or the
                model cannot predict for new users.
        """
        check_choice("unknown", unknown, ("raise", "skip"))
        skip = unknown == "skip"
        given: dict[Domain, OwnRatings] = {
            "source": own_ratings(source, self.source_item_ids, self.source_scale, skip),
            "target": own_ratings(target, self.item_ids, self.scale, skip),
        }
        return self._scorer.fold_in(given, id)

    def explain(self, user: "str | FoldedUser", item: str, n: int = 5) -> Explanation:
        """Return why a user gets a prediction: biases, the model's share, nearest rated items.

        Raises:
            UserError: The item is unknown, the user is, or n is no positive whole number.
        """
        check_n(n)
        return explanation(self._scorer, user, item, self.user_ids, self.item_ids, n)
