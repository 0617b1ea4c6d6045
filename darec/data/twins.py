"""Twins: items that nearly the same users rated, such as editions of one product.

Their reviews are often copies. A model of item rows can then copy a held-out rating from the
item's twin instead of predicting it. Shapes: I items, U users, N ratings.
"""

from typing import Any

import numpy as np
from scipy import sparse

from darec.data.ratings import Ratings

SIMILAR = 0.6
"""Lowest Jaccard index of the users of two items that count as twins."""
COMMON = 2
"""Lowest number of users that twins have in common."""


def copied_share(ratings: Ratings) -> float:
    """Return the share of ratings that equal the same user's rating of a twin of the item."""
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
