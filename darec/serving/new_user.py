"""A person who was not in the data, as a loaded model knows them.

Shapes: n ratings given, I target items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darec.core.fold_in import OwnRatings
from darec.data.ratings import HIGHEST, LOWEST, FloatArray
from darec.errors import UserError
from darec.serving.ids import Ids


@dataclass(frozen=True, eq=False)
class FoldedUser:
    """A person whose ratings were folded in; takes the place of a user's id."""

    id: str
    """How tables name the person."""
    source: OwnRatings
    target: OwnRatings
    bias: float
    """The regularised bias of the person's target ratings, in stars."""
    scores_I: FloatArray
    """Raw predictions of all target items."""


def own_ratings(given: Sequence[tuple[Any, float]], ids: Ids) -> OwnRatings:
    """Return a person's ratings by position.

    Raises `UserError` for an item that is unknown or given twice, or a rating outside the scale.
    """
    for each in given:
        if not isinstance(each, Sequence) or isinstance(each, str) or len(each) != 2:
            raise UserError(f"a rating must be a pair of {ids.kind} and stars, but got {each!r}")
    items = ids.positions([item for item, _ in given], "raise").astype(np.int32)
    if len(np.unique(items)) != len(items):
        raise UserError(f"each {ids.kind} must be rated once, but one is given twice")
    for item, value in given:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            rule = "must be a number"
        elif not LOWEST <= value <= HIGHEST:
            rule = f"must lie between {LOWEST:g} and {HIGHEST:g}"
        else:
            continue
        raise UserError(f"the rating of {ids.kind} {item!r} {rule}, but got {value!r}")
    return OwnRatings(items, np.array([value for _, value in given], np.float32))
