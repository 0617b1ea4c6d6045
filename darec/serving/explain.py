"""Why a user gets a prediction."""

from dataclasses import dataclass

import numpy as np

from darec.core.metrics import clip
from darec.core.new_user import OwnRatings
from darec.errors import UserError
from darec.serving.ids import Ids
from darec.serving.new_user import FoldedUser
from darec.serving.scorer import Scorer


@dataclass(frozen=True)
class Neighbour:
    """An item that the user has rated, and how like the predicted item it is."""

    item: str
    rating: float
    similarity: float
    """The cosine of the centred factors of both items, -1 to 1."""


@dataclass(frozen=True)
class Explanation:
    """The parts of a prediction: ``score = mean + user_bias + item_bias + model_share``.

    All are in the units of the ratings' scales.
    """

    user: str
    item: str
    prediction: float
    """The score, clipped to the scale."""
    score: float
    mean: float
    """Of the target's training ratings."""
    user_bias: float
    """The user's level. Hierarchical biases add the user's slope times the centred logarithm of the
    item's number of training ratings."""
    item_bias: float
    model_share: float
    """The score minus the biases of the cold policy. For cold users and items it is 0, except for
    cold items under ``floor``."""
    cold_user: bool
    """Whether the user's prediction comes from the cold policy."""
    cold_item: bool
    nearest: list[Neighbour]
    """Items that the user has rated, most like the item first; empty without factors of items."""
    noun: str = "stars"
    """What ratings are counted in: stars, or points of another scale."""

    def __str__(self) -> str:
        cold = self.cold_user or self.cold_item
        parts = (
            f"{self.item} for {self.user}: {self.prediction:.2f} {self.noun} = "
            f"mean {self.mean:.2f} {self.user_bias:+.2f} (user) {self.item_bias:+.2f} (item) "
            f"{self.model_share:+.2f} ({'cold policy' if cold else 'model'})"
        )
        rated = [
            f"{each.item} ({each.rating:g} {self.noun}, {each.similarity:.2f})"
            for each in self.nearest
        ]
        return f"{parts}; most like: {', '.join(rated)}" if rated else parts


def explanation(
    scorer: Scorer, user: str | FoldedUser, item: str, user_ids: Ids, item_ids: Ids, n: int
) -> Explanation:
    """Return why a user gets a prediction, with the ``n`` rated items that are most like the item.

    Raises `UserError` for an unknown user or item.
    """
    (position,) = item_ids.positions([item], "raise")
    at, nobody = np.array([position], np.int32), np.array([-1], np.int32)
    if isinstance(user, FoldedUser):
        name, own, is_cold = user.id, user.target, user.is_cold
        score, base = user.scores_J[position], user.base_J[position]
    else:
        rows = user_ids.positions([user], "raise")
        (row,) = rows
        name, own, is_cold = str(user), scorer.rated(row), bool(scorer.is_cold_user[row])
        score = scorer.all_items(rows)[0, position]
        (base,) = scorer.base.predict(rows.astype(np.int32), at)
    (of_nobody,) = scorer.base.predict(nobody, at)
    item_is_cold, mean = bool(scorer.is_cold_item[position]), scorer.base.mean
    scale = scorer.scale
    return Explanation(
        user=name,
        item=str(item),
        prediction=scale.point(float(clip(np.array([score], np.float32))[0])),
        score=scale.point(float(score)),
        mean=scale.point(mean),
        user_bias=scale.unit * (float(base) - float(of_nobody)),
        item_bias=scale.unit * (float(of_nobody) - mean),
        model_share=scale.unit * (float(score) - float(base)),
        cold_user=is_cold,
        cold_item=item_is_cold,
        nearest=[] if item_is_cold else _nearest(scorer, position, own, item_ids, n),
        noun=scale.noun,
    )


def _nearest(
    scorer: Scorer, position: int, own: OwnRatings, item_ids: Ids, n: int
) -> list[Neighbour]:
    """Return the items that a user rated and that are most like an item, if that is known."""
    try:
        similarity_I = scorer.similarity(position)
    except UserError:
        return []
    others = own.items != position
    items, values = own.items[others], scorer.scale.from_stars(own.values[others])
    order = np.argsort(-similarity_I[items], kind="stable")[:n]
    return [
        Neighbour(str(item_ids.ids[i]), float(value), float(similarity_I[i]))
        for i, value in zip(items[order], values[order], strict=True)
    ]
