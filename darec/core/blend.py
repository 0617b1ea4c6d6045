"""Weights of several models in one prediction, learned from validation ratings.

A blend is ``h + sum_m w_m (p_m - h)``, where h are the hierarchical biases and p_m the predictions
of member m: non-negative least squares with a ridge (design: stacked regressions, Breiman 1996).
Where all weights are 0 it is the biases alone.
Shapes: N validation ratings, M members.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Array = npt.NDArray[np.float64]

RIDGE = 10.0
"""Added to the squared error, in squared stars, for each squared weight; ours."""
FOLDS = 5
"""Parts of the validation ratings by which `cross_fitted` judges a blend."""
Learn = Callable[["Differences"], Array]
"""Returns the weights f64[M] of members, given what they predict."""
FEWEST = 500
"""With fewer validation ratings no weights are learned, since they would overfit; ours."""
LEAST_WEIGHT = 0.02
"""A member with less weight is left out."""


@dataclass(frozen=True, eq=False)
class Differences:
    """What members predict beyond the hierarchical biases, and what they should."""

    member_NM: Array
    """The difference of each member's prediction from the biases; 0 where both must be equal."""
    rest_N: Array
    """The ratings minus the biases, in stars."""

    def rows(self, chosen_N: npt.NDArray[np.bool_]) -> "Differences":
        """Return some of the ratings."""
        return Differences(self.member_NM[chosen_N], self.rest_N[chosen_N])


def weights(differences: Differences) -> Array:
    """Return the members' non-negative weights f64[M]."""
    member_NM, n_members = differences.member_NM, differences.member_NM.shape[1]
    if not n_members:
        return np.zeros(0)  # scipy's solver writes outside its memory
    system = np.vstack([member_NM, np.sqrt(RIDGE) * np.eye(n_members)])
    found: Array = nnls(system, np.append(differences.rest_N, np.zeros(n_members)))[0]
    return found


def best_alone(differences: Differences) -> Array:
    """Return the weight 1 for the member with the lowest error, and 0 for all others, f64[M]."""
    errors_NM = differences.member_NM - differences.rest_N[:, None]
    found = np.zeros(errors_NM.shape[1])
    found[np.square(errors_NM).sum(0).argmin()] = 1
    return found


def few_weights(differences: Differences, most: int) -> Array:
    """Return the weights f64[M] of at most so many members; those of the others are 0.

    The member that contributes least is left out until no more than ``most`` remain, and none has
    less than `LEAST_WEIGHT`.
    """
    kept = np.arange(differences.member_NM.shape[1])
    spread_M = differences.member_NM.std(0)
    while True:
        own = Differences(differences.member_NM[:, kept], differences.rest_N)
        weight_K = weights(own)
        used = weight_K >= LEAST_WEIGHT
        if used.all() and len(kept) <= most:
            break
        if used.sum() > most:
            used &= weight_K * spread_M[kept] > (weight_K * spread_M[kept])[used].min()
        kept = kept[used]
    found = np.zeros(differences.member_NM.shape[1])
    found[kept] = weight_K
    return found


def cross_fitted(
    differences: Differences,
    generator: np.random.Generator,
    learn: Learn = weights,
) -> Array:
    """Return what a blend adds to the biases f64[N], with weights learned from other ratings.

    For each of `FOLDS` parts of the ratings ``learn`` returns weights f64[M], given the others.
    """
    n_ratings = len(differences.rest_N)
    fold_N = generator.permutation(n_ratings) % FOLDS
    added_N = np.zeros(n_ratings)
    for fold in range(FOLDS):
        part_N = fold_N == fold
        added_N[part_N] = differences.member_NM[part_N] @ learn(differences.rows(~part_N))
    return added_N
