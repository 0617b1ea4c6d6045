"""The features of users and items in a factorisation machine.

Shapes: R rows (users or items), F features of a row, J source items.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from darec.data.ratings import HIGHEST, Axis, FloatArray, Ratings

Norm = Literal["n", "sqrt_n", "none", "centred"]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Features:
    """What describes each user or each item: a feature of its own, then those of some blocks."""

    n_rows: int
    blocks: tuple[sparse.csr_matrix, ...] = ()
    """Further features, one matrix with R rows for each kind. Each kind has a prior of its own."""

    @cached_property
    def matrix_RF(self) -> sparse.csr_matrix:
        """All features, the own ones first."""
        own_RR = sparse.identity(self.n_rows, format="csr")
        return sparse.csr_matrix(sparse.hstack([own_RR, *self.blocks]))

    @cached_property
    def squared_RF(self) -> sparse.csr_matrix:
        """The squares of all features."""
        return sparse.csr_matrix(self.matrix_RF.multiply(self.matrix_RF))

    @property
    def sizes(self) -> list[int]:
        """The number of features of each kind."""
        return [self.n_rows, *(block.shape[1] for block in self.blocks)]

    def summed(self, w_F: Matrix, v_FK: Matrix) -> tuple[Matrix, Matrix]:
        """Return what a row's features predict by themselves f64[R], and their sum f64[R, K].

        The first is ``sum w_f x_f + sum_{f<g} v_f . v_g x_f x_g`` within the row, the second
        ``sum v_f x_f``.
        """
        sum_RK = self.matrix_RF @ v_FK
        pairs_R = (np.square(sum_RK) - self.squared_RF @ np.square(v_FK)).sum(1) / 2
        return self.matrix_RF @ w_F + pairs_R, sum_RK

    def of_average_row(self, w_F: Matrix, v_FK: Matrix) -> tuple[Matrix, Matrix]:
        """Return the weights with the own features of all rows replaced by one: their mean."""
        n = self.n_rows
        w = np.concatenate([[w_F[:n].mean()], w_F[n:]])
        return w, np.vstack([v_FK[:n].mean(0), v_FK[n:]])


def of_new_row(blocks: tuple[sparse.csr_matrix, ...]) -> FloatArray:
    """Return the features of a new row, whose blocks have one row each: 1, then the blocks'."""
    dense = [block.toarray()[0] for block in blocks]
    return np.concatenate([[1.0], *dense]).astype(np.float32)


def sets(ratings: Ratings, axis: Axis) -> sparse.csr_matrix:
    """Return who rated what, [R, columns]: 1 / sqrt(n) for each of a row's n ratings."""
    rows = ratings.rows(axis)
    values = np.repeat(1 / np.sqrt(np.maximum(1, rows.counts)), rows.counts)
    return sparse.csr_matrix((values, rows.columns, rows.starts), ratings.shape(axis))


def source_ratings(
    source: Ratings, norm: Norm, max_aux: int, popularity_J: npt.NDArray[np.int64] | None = None
) -> sparse.csr_matrix:
    """Return each user's normalised source ratings [U, J]: those of the most rated items.

    ``popularity`` is how often each item was rated, by default in these ratings.
    """
    rated_J = source.item_counts if popularity_J is None else popularity_J
    order = np.lexsort((-rated_J[source.items], source.users))
    users, items = source.users[order], source.items[order]
    rank = np.arange(len(users)) - (np.cumsum(source.user_counts) - source.user_counts)[users]
    kept = rank < (max_aux or len(users))
    users, items = users[kept], items[kept]
    values = source.values[order][kept].astype(np.float64)
    count = np.bincount(users, minlength=source.n_users)[users]
    if norm == "centred":
        mean_U = np.bincount(users, values, source.n_users) / np.maximum(
            1, np.bincount(users, minlength=source.n_users)
        )
        scaled = ((values - mean_U[users]) / 4 + 1) / count
    else:
        power = {"n": 1.0, "sqrt_n": 0.5, "none": 0.0}[norm]
        scaled = values / HIGHEST / count**power
    return sparse.csr_matrix((scaled, (users, items)), (source.n_users, source.n_items))
