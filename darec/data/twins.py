"""Twins: items that nearly the same users rated, such as editions of one product.

Shapes: I items, N ratings, T pairs of twins, C pairs of ratings that a user gave to two twins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from darec.data.ratings import Ratings

SIMILAR = 0.6
"""Lowest Jaccard index of the users of two items that count as twins."""
COMMON = 2
"""Lowest number of users that twins have in common."""
AT_ONCE = 2**20
"""Most entries of a matrix that is held at once, unless one item alone has more."""


@dataclass(frozen=True, eq=False)
class Twins:
    """T pairs of twins, and the C pairs of ratings that their common users gave to them.

    ``first_T`` and ``second_T`` are items. ``pair_C`` is the pair of twins that a pair of ratings
    belongs to; ``one_C`` and ``other_C`` are the positions of the two in the `Ratings`.
    """

    first_T: npt.NDArray[np.int64]
    second_T: npt.NDArray[np.int64]
    pair_C: npt.NDArray[np.int64]
    one_C: npt.NDArray[np.int64]
    other_C: npt.NDArray[np.int64]


def find_twins(ratings: Ratings) -> Iterator[Twins]:
    """Yield all pairs of twins, each once, a part at a time.

    The memory in use grows with the number of ratings, and is bounded beyond that.
    """
    cells, shape = (ratings.items, ratings.users), (ratings.n_items, ratings.n_users)
    position_IU = sparse.csr_matrix((np.arange(len(ratings)) + 1, cells), shape)
    rated_IU = sparse.csr_matrix((np.ones(len(ratings), np.int64), cells), shape)
    for first, second in _alike(ratings):
        positions_1 = position_IU[first].multiply(rated_IU[second]).tocsr()
        positions_2 = rated_IU[first].multiply(position_IU[second]).tocsr()
        common = np.diff(positions_1.indptr)
        union = ratings.item_counts[first] + ratings.item_counts[second] - common
        are_twins = (common >= COMMON) & (common >= SIMILAR * union)
        kept = np.repeat(are_twins, common)
        pair_C = np.repeat(np.arange(are_twins.sum()), common[are_twins])
        one_C, other_C = positions_1.data[kept] - 1, positions_2.data[kept] - 1
        yield Twins(first[are_twins], second[are_twins], pair_C, one_C, other_C)


def _alike(ratings: Ratings) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield pairs of items, each once and as two arrays, among which are all twins.

    An item of n users shares at least c = max(COMMON, SIMILAR * n) of them with a twin. Sort the
    users by their number of ratings: then the first n - c + COMMON users of two twins have at least
    COMMON in common (prefix filtering). Users with very many ratings come last, and so are rarely
    compared.
    """
    sizes_I = ratings.item_counts
    needed_I = np.maximum(COMMON, np.ceil(SIMILAR * sizes_I - 1e-9)).astype(np.int64)
    rank_U = np.empty(ratings.n_users, np.int64)
    rank_U[np.argsort(ratings.user_counts, kind="stable")] = np.arange(ratings.n_users)
    order = np.argsort(ratings.items * np.int64(ratings.n_users) + rank_U[ratings.users])
    rank_N = np.arange(len(order)) - np.repeat(np.cumsum(sizes_I) - sizes_I, sizes_I)
    kept = order[rank_N < np.repeat(sizes_I - needed_I + COMMON, sizes_I)]
    cells = ratings.items[kept], ratings.users[kept]
    shape = (ratings.n_items, ratings.n_users)
    few_IU: Any = sparse.csr_matrix((np.ones(len(kept), np.int32), cells), shape)
    few_UI = few_IU.T.tocsr()
    for rows in _parts(few_IU @ np.bincount(cells[1], minlength=ratings.n_users)):
        shared = (few_IU[rows] @ few_UI).tocoo()
        enough = shared.data >= COMMON
        first = shared.row[enough].astype(np.int64) + rows.start
        second = shared.col[enough].astype(np.int64)
        smaller, larger = np.sort([sizes_I[first], sizes_I[second]], axis=0)
        possible = (first < second) & (smaller >= SIMILAR * larger)
        first, second, larger = first[possible], second[possible], larger[possible]
        for part in _parts(larger):
            yield first[part], second[part]


def _parts(sizes: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Cut a sequence into parts whose sizes add up to `AT_ONCE` at most."""
    ends, begin = np.cumsum(sizes), 0
    while begin < len(sizes):
        allowed = AT_ONCE + (ends[begin - 1] if begin else 0)
        end = max(begin + 1, int(np.searchsorted(ends, allowed, side="right")))
        yield slice(begin, end)
        begin = end
