"""Editions of one product: items that nearly the same users rate, often with copied reviews.

A held-out rating whose user rates a twin of the item can be copied, not predicted: item-axis models
gain from it. Shapes: I items, U users, N ratings.
"""

from typing import Any

import numpy as np
from scipy import sparse

from darec.data.ratings import Ratings

SIMILAR = 0.6
"""Least Jaccard index of two items' raters for a twin."""
COMMON = 2
"""Least number of common raters for a twin."""


def copied_share(ratings: Ratings) -> float:
    """Return the share of ratings that are equal to their user's rating of a twin of the item."""
    shape = (ratings.n_items, ratings.n_users)
    cells = (ratings.items, ratings.users)
    rated_IU = sparse.csr_matrix((np.ones(len(ratings), np.int32), cells), shape)
    stars_IU = sparse.csr_matrix((ratings.values, cells), shape)
    common: Any = sparse.coo_matrix(rated_IU @ rated_IU.T)
    sizes_I = ratings.item_counts
    union = sizes_I[common.row] + sizes_I[common.col] - common.data
    twin = (common.row < common.col) & (common.data >= COMMON) & (common.data >= SIMILAR * union)
    if not twin.any():
        return 0.0
    first, second = common.row[twin], common.col[twin]
    both = rated_IU[first].multiply(rated_IU[second]).tocoo()
    pairs = first[both.row], second[both.row]
    stars = [np.asarray(stars_IU[items, both.col]).ravel() for items in pairs]
    equal = stars[0] == stars[1]
    copied = [items[equal].astype(np.int64) * ratings.n_users + both.col[equal] for items in pairs]
    return len(np.unique(np.concatenate(copied))) / len(ratings)
