"""Find the scale of a rating file, or hold the file to a given one.

Shapes: N ratings.
"""

from dataclasses import dataclass

import numpy as np

from darec.data.ratings import BoolArray, FloatArray
from darec.data.readers import RawRatings
from darec.data.scale import STARS, Scale
from darec.errors import UserError

HALVES, LIKES = Scale(0.5, 5.0), Scale(0.0, 1.0)
LEAST_TOP = 8.0
"""A scale up to 10 is assumed only if a rating is at least this. So 1 to 7 is its own scale."""
LEAST_PERCENT = 50.0
"""A scale from 0 to 100 is assumed only if a rating is above this."""
UNRATED = (0.0, -1.0, 99.0)
"""Values outside the scale that public files write for "not rated"."""
LEAST_LEVELS = 3
"""Fewest distinct ratings besides a value for the guess that this value means "not rated"."""


@dataclass(frozen=True)
class Scales:
    """The scale of each domain."""

    source: Scale = STARS
    target: Scale = STARS


ON_STARS = Scales()


def scale_of(
    domain: str, raw: RawRatings, given: Scale | None, unrated: float | None
) -> tuple[Scale, str]:
    """Return the scale of a domain's ratings, given or found from them, and what is said of it.

    Rows whose rating is ``unrated`` have no say. Raises `UserError` for a rating outside the given
    scale, and where no scale can be found.
    """
    is_rated_N = ~means_unrated(raw.values, unrated)
    if not is_rated_N.any():
        raise UserError(f"{raw.path}: --unrated {unrated:g} must leave a rating, but leaves none")
    if given is not None:
        outside = np.flatnonzero(is_rated_N & ~given.contains(raw.values))
        if len(outside):
            raise _outside(raw, int(outside[0]), given)
    values_L = np.unique(raw.values[is_rated_N])
    scale = given or found(values_L) or _ends(raw, values_L)
    message = f"{domain} ratings lie on a scale of {scale} ({len(values_L)} levels)"
    if given is None:
        if found(values_L) is None:
            message += ": these are the smallest and largest; --scale LOW,HIGH sets another"
        message += _unrated_hint(values_L)
    return scale, message


def means_unrated(values_N: FloatArray, unrated: float | None) -> BoolArray:
    """Return which ratings mean "not rated", bool[N]; None: no rating does."""
    if unrated is None:
        return np.zeros(len(values_N), bool)
    is_unrated_N: BoolArray = values_N == np.float32(unrated)
    return is_unrated_N


def found(values_L: FloatArray) -> Scale | None:
    """Return the known scale that distinct ratings, ascending, lie on; None if there is none.

    One rating alone shows no scale.
    """
    if len(values_L) == 1:
        return None
    low, high = float(values_L[0]), float(values_L[-1])
    far = max(-low, high)
    if low >= STARS.low and high <= STARS.high:
        return STARS
    if low == HALVES.low and high <= HALVES.high and (values_L % 0.5 == 0).all():
        return HALVES
    if low >= 0 and high <= 1:
        return LIKES
    if low >= 0 and LEAST_TOP <= high <= 10:
        return Scale(1.0 if low >= 1 else 0.0, 10.0)
    if low >= 0 and LEAST_PERCENT < high <= 100:
        return Scale(0.0, 100.0)
    if low < -1 and LEAST_TOP <= far <= 10:
        return Scale(-10.0, 10.0)
    return None


def _ends(raw: RawRatings, values_L: FloatArray) -> Scale:
    low, high = float(values_L[0]), float(values_L[-1])
    if low == high:
        message = f"has no rating but {low:g}, which shows no scale; give --scale LOW,HIGH"
        raise UserError(f"{raw.path}: {message}")
    return Scale(low, high)


def _unrated_hint(values_L: FloatArray) -> str:
    """Return a hint that the lowest or highest rating may mean "not rated", if it looks so."""
    for end_1, others_L in ((values_L[:1], values_L[1:]), (values_L[-1:], values_L[:-1])):
        end = float(end_1[0])
        scale = found(others_L) if end in UNRATED and len(others_L) >= LEAST_LEVELS else None
        if scale is not None and not scale.contains(end_1).any():
            remedy = f"if {end:g} means not rated, give --unrated {end:g}"
            return f"; the others lie on {scale}: {remedy}"
    return ""


def _outside(raw: RawRatings, row: int, scale: Scale) -> UserError:
    remedy = "give another --scale, or --unrated if it means not rated"
    rule = f"field rating: must lie from {scale}, but got {raw.values[row]:.9g}"
    return UserError(f"{raw.place(row)}, {rule}; {remedy}")
