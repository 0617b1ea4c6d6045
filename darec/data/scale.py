"""The scale of a domain's ratings: 1 to 5 stars, 0.5 to 5, 1 to 10, -10 to 10 or any other.

Inside darec all ratings are stars from 1 to 5. They are converted where they enter and leave.
Shapes: N ratings.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scale:
    """The lowest and the highest rating of a domain, in its own units.

    Raises ``ValueError`` unless both are finite and ``low`` is below ``high``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            rule = "must have a finite low below a finite high"
            raise ValueError(f"a scale {rule}, but got {self.low:g} and {self.high:g}")

    def __str__(self) -> str:
        return f"{self.low:.9g} to {self.high:.9g}"

    @property
    def range(self) -> float:
        """The distance of the highest from the lowest rating."""
        return self.high - self.low

    @property
    def unit(self) -> float:
        """The length of a star in own units: an error in stars times this is one in own units."""
        return self.range / 4

    @property
    def noun(self) -> str:
        """What a rating is counted in: stars, or points of another scale."""
        return "stars" if self == STARS else "points"

    def share(self, error: float) -> float | None:
        """Return an error in own units as a share of the range; None on the scale from 1 to 5."""
        return None if self == STARS else error / self.range

    def to_stars(self, values_N: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return ratings in own units as stars, f32[N]. On 1 to 5 they stay as they are."""
        if self != STARS:
            values_N = STARS.low + (values_N.astype(np.float64) - self.low) / self.unit
        return values_N.astype(np.float32, copy=False)

    def from_stars(self, stars_N: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return stars in own units, f32[N], to float32's precision; nothing is clipped."""
        if self == STARS:
            return stars_N
        return (self.low + (stars_N.astype(np.float64) - STARS.low) * self.unit).astype(np.float32)

    def point(self, star: float) -> float:
        """Return one value in stars in own units."""
        return star if self == STARS else self.low + (star - STARS.low) * self.unit

    def contains(self, values_N: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return which ratings in own units lie on the scale, bool[N]."""
        low, high = (np.asarray(end, values_N.dtype) for end in (self.low, self.high))
        inside: npt.NDArray[np.bool_] = (low <= values_N) & (values_N <= high)
        return inside


STARS = Scale(1.0, 5.0)
"""The scale of the paper (section 4.1), and of all ratings inside darec."""


def in_words(target: Scale, source: Scale | None = None) -> str:
    """Return what a heading adds for ratings that are not all from 1 to 5; else nothing."""
    message = "" if target == STARS else f", ratings from {target}"
    if source not in (None, target):
        message += f", source ratings from {source}"
    return message
