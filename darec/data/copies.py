"""Copied ratings: are the ratings that users gave to twins equal more often than by chance?

A shop may show one review under each edition of a product, and a data set then has it once for
each. A model of item rows can copy a held-out rating from such a twin instead of predicting it.
Shapes: U users, N ratings, C pairs of ratings that a user gave to two twins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darec.data.ratings import Ratings
from darec.data.twins import find_twins

FAR = 5.0
"""Lowest z-value that is far beyond chance. Independent users exceed it once in three million
domains; a lower one would not do, because many users may agree on the same few twins.
"""
EXTRA = 0.02
"""Lowest share of copyable test ratings, minus that by chance, that matters. Where 2 % of the test
ratings have no error, the RMSE is 1 % lower, which is as much as good models differ.
"""
HELD_OUT = 0.1
"""The share of ratings that are held out as test ratings (section 4.1)."""


@dataclass(frozen=True)
class Agreement:
    """How often the ratings that users gave to twins are equal; all zero where there are no twins.

    The first three fields are about ratings whose user rated twins of the item, and other items.
    """

    observed: float
    """Mean share of the twins' ratings that equal the user's rating of the item."""
    chance: float
    """Mean share of the same user's ratings of other items that equal it."""
    z: float
    """Their difference in standard errors, in which each user is one observation."""
    copyable: float
    """Share of random test ratings that equal a training rating by the same user of a twin."""
    copyable_by_chance: float
    """That share if twins agreed as often as the other items that the user rated."""

    @property
    def shows_copies(self) -> bool:
        """Whether twins agree far beyond chance, and so often that it matters."""
        return self.z >= FAR and self.copyable - self.copyable_by_chance >= EXTRA


def agreement(ratings: Ratings) -> Agreement:
    """Return how often the ratings of twins are equal, and how often chance would make them so.

    Chance is judged by the same user's ratings of other items: one who likes everything, or a scale
    with two levels, makes ratings equal without any copy. A test rating counts in expectation over
    the random choice of test ratings, so that nothing is drawn.
    """
    twins_N, equal_N = _twins_of_each(ratings)
    chance_N = _chance_of_each(ratings, twins_N, equal_N)
    copyable_N = 1 - HELD_OUT**equal_N
    by_chance_N = 1 - (1 - (1 - HELD_OUT) * chance_N) ** twins_N
    judged = (twins_N > 0) & ~np.isnan(chance_N)
    observed_N = equal_N[judged] / twins_N[judged]
    excess_U = np.bincount(ratings.users[judged], observed_N - chance_N[judged])
    error = float(np.sqrt(excess_U @ excess_U))
    return Agreement(
        observed=float(observed_N.mean()) if judged.any() else 0.0,
        chance=float(chance_N[judged].mean()) if judged.any() else 0.0,
        z=float(excess_U.sum()) / error if error else 0.0,
        copyable=float(copyable_N.mean()),
        copyable_by_chance=float(np.where(judged, by_chance_N, copyable_N).mean()),
    )


def _twins_of_each(ratings: Ratings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how many twins of each rating's item its user rated, and how many of them equally."""
    twins_N, equal_N = np.zeros((2, len(ratings)), np.int64)
    for twins in find_twins(ratings):
        equal_C = ratings.values[twins.one_C] == ratings.values[twins.other_C]
        for positions_C in (twins.one_C, twins.other_C):
            np.add.at(twins_N, positions_C, 1)
            np.add.at(equal_N, positions_C[equal_C], 1)
    return twins_N, equal_N


def _chance_of_each(
    ratings: Ratings, twins_N: npt.NDArray[np.int64], equal_N: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the share of the same user's other ratings, twins apart, that equal each rating.

    It is NaN where the user rated nothing but the item and its twins.
    """
    _, level_N = np.unique(ratings.values, return_inverse=True)
    key_N = ratings.users.astype(np.int64) * len(ratings) + level_N
    _, key_N, counts = np.unique(key_N, return_inverse=True, return_counts=True)
    equal_others_N = counts[key_N] - 1 - equal_N
    others_N = ratings.user_counts[ratings.users] - 1 - twins_N
    chance_N = np.full(len(ratings), np.nan)
    np.divide(equal_others_N, others_N, out=chance_N, where=others_N > 0)
    return chance_N
