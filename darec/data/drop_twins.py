"""Prepare a pair with one item of each group of twins whose ratings are copies of each other.

Shapes: I items, T pairs of twins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from darec.data.copies import agreement
from darec.data.ratings import Domain, DomainPair, Ratings
from darec.data.selection import NO_ITEMS, ItemIds
from darec.data.twins import find_twins

SAME = 0.8
"""Lowest share of the common users of two twins who rated both equally that makes them copies.
Editions of one product come near 1. Other twins, different products with the same few fans, come
near the share by chance, a third to a half, and their ratings are worth keeping.
"""


@dataclass(frozen=True)
class Dropped:
    """How many items and ratings of each domain were dropped as copies, and how many users went."""

    source_items: int = 0
    source_ratings: int = 0
    target_items: int = 0
    target_ratings: int = 0
    users: int = 0
    """Users who had too few ratings after that. The ratings dropped with them are not counted."""


def drop_twins(
    pair: DomainPair, build: Callable[[Mapping[Domain, ItemIds]], DomainPair]
) -> tuple[DomainPair, Dropped]:
    """Return the pair with one item of each group of copies, and what was dropped.

    ``build`` makes the pair again without given items of each domain, and leaves out users who
    have too few ratings then. Other items may be twins once users are gone, so this is repeated
    until no domain loses an item. A domain that shows no copies (`Agreement.shows_copies`) loses
    none.
    """
    without: dict[Domain, ItemIds] = {"source": NO_ITEMS, "target": NO_ITEMS}
    dropped = Dropped()
    n_users = len(pair.user_ids)
    while True:
        copies_S, copies_T = copies(pair.source), copies(pair.target)
        if not (copies_S.any() or copies_T.any()):
            return pair, replace(dropped, users=n_users - len(pair.user_ids))
        dropped = Dropped(
            dropped.source_items + int(copies_S.sum()),
            dropped.source_ratings + int(pair.source.item_counts[copies_S].sum()),
            dropped.target_items + int(copies_T.sum()),
            dropped.target_ratings + int(pair.target.item_counts[copies_T].sum()),
        )
        without = {
            "source": np.append(without["source"], pair.source_item_ids[copies_S]),
            "target": np.append(without["target"], pair.target_item_ids[copies_T]),
        }
        pair = build(without)


def copies(ratings: Ratings) -> npt.NDArray[np.bool_]:
    """Return which items have a twin with the same ratings that is kept in their stead: bool[I].

    The groups are the connected components of twins that at least `SAME` of their common users
    rated equally. The item with the most ratings is kept, and of equals the first by id. No item
    is a copy in a domain that shows no copies.
    """
    if not agreement(ratings).shows_copies:
        return np.zeros(ratings.n_items, bool)
    group_I: npt.NDArray[np.int64] = np.arange(ratings.n_items)
    for twins in find_twins(ratings):
        equal_C = ratings.values[twins.one_C] == ratings.values[twins.other_C]
        n_pairs = len(twins.first_T)
        equal_T = np.bincount(twins.pair_C, equal_C, minlength=n_pairs)
        same_T = equal_T >= SAME * np.bincount(twins.pair_C, minlength=n_pairs)
        edges = group_I[twins.first_T[same_T]], group_I[twins.second_T[same_T]]
        graph = coo_matrix((np.ones(len(edges[0])), edges), (ratings.n_items, ratings.n_items))
        _, joined_I = connected_components(graph, directed=False)
        group_I = joined_I[group_I].astype(np.int64)
    most_rated_first = np.lexsort((np.arange(ratings.n_items), -ratings.item_counts))
    _, kept = np.unique(group_I[most_rated_first], return_index=True)
    is_copy_I = np.ones(ratings.n_items, bool)
    is_copy_I[most_rated_first[kept]] = False
    return is_copy_I
