"""A person who was not in the data, as a loaded model knows them.

Shapes: n ratings given, J target items and one more, which is not in the data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from darec.core.new_user import OwnRatings
from darec.data.ratings import FloatArray
from darec.data.scale import Scale
from darec.errors import UserError
from darec.serving.ids import Ids, listed

Given = Iterable[tuple[str, float]] | Mapping[str, float] | pd.DataFrame
"""Ratings of a person: pairs of an item and a rating, a mapping, or a table of both."""


@dataclass(frozen=True, eq=False)
class FoldedUser:
    """A person whose ratings were folded in; takes the place of a user's id.

    All values are stars, whatever the scale.
    """

    id: str
    """How tables name the person."""
    source: OwnRatings = field(repr=False)
    target: OwnRatings = field(repr=False)
    is_cold: bool
    """Whether the predictions come from the cold policy: the model learned nothing."""
    scores_J: FloatArray = field(repr=False)
    """Raw predictions of all target items."""
    base_J: FloatArray = field(repr=False)
    """The predictions of the biases that the cold policy takes."""
    std_J: FloatArray = field(repr=False)
    """Standard deviations of ratings around their predictions, in stars."""


def own_ratings(given: Given, ids: Ids, scale: Scale, skip_unknown: bool = False) -> OwnRatings:
    """Return a person's ratings on a scale by position, in stars.

    Raises `UserError` for an item that is given twice, or unknown unless those are skipped, and for
    a rating outside the scale.
    """
    pairs = _pairs(given, ids.kind)
    items = ids.positions([item for item, _ in pairs], "cold" if skip_unknown else "raise")
    known = items[items >= 0]
    if len(np.unique(known)) != len(known):
        raise UserError(f"each {ids.kind} must be rated once, but one is given twice")
    for item, value in pairs:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            rule = "must be a number"
        elif not scale.contains(np.array([value], np.float32)).all():
            rule = f"must lie between {scale.low:.9g} and {scale.high:.9g}"
        else:
            continue
        raise UserError(f"the rating of {ids.kind} {item!r} {rule}, but got {value!r}")
    values = np.array([value for _, value in pairs], np.float32)
    return OwnRatings(known.astype(np.int32), scale.to_stars(values[items >= 0]))


def _pairs(given: Any, kind: str) -> list[tuple[Any, Any]]:
    """Return ratings as pairs; raises `UserError` for what is none."""
    if isinstance(given, pd.DataFrame):
        for name in ("item", "rating"):
            if name not in given:
                raise UserError(f"the table of ratings must have the column {name}")
        given = zip(given["item"], given["rating"], strict=True)
    given = list(given.items()) if isinstance(given, Mapping) else given
    pairs = listed(given, f"ratings of {kind}s")
    for each in pairs:
        if isinstance(each, str) or not isinstance(each, Iterable) or len(list(each)) != 2:
            raise UserError(f"a rating must be a pair of {kind} and rating, but got {each!r}")
    return [(item, value) for item, value in pairs]
