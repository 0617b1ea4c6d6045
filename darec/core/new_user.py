"""A new user: a person who is not in the training data and is known by some ratings alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from darec.data.ratings import Domain, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class OwnRatings:
    """A new user's ratings in one domain: distinct items i32[n], and stars f32[n]."""

    items: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.items)


NewUser = Mapping[Domain, OwnRatings]
"""A new user's ratings in both domains."""
