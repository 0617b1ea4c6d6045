"""How the time of the hierarchical biases grows with the ratings."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from darec.benchmark.core import Figure
from darec.core.hierarchical import HierarchicalBiases
from darec.data.ratings import Ratings
from darec.data.split import Training
from darec.seeds import generator

RATINGS_PER_USER, RATINGS_PER_ITEM = 20, 50


def fits(sizes: Sequence[int]) -> Iterator[Figure]:
    """Fit both domains of pairs with this many ratings in each domain.

    The reference is the first time multiplied by the ratio of the ratings: a ratio of 1 means a
    constant cost per rating.
    """
    first = 0.0
    for size in sizes:
        training = Training(source=made(size, "source"), target=made(size, "target"))
        begin = time.perf_counter()
        HierarchicalBiases.fit(training)
        seconds = time.perf_counter() - begin
        first = first or seconds
        linear = first * size / sizes[0]
        yield Figure(f"hierarchical_fit_2x{size}", seconds, "s", linear, linear / seconds)


def made(size: int, name: str) -> Ratings:
    """Return about this many whole-star ratings with effects of users and of items."""
    rng = generator(0, "hierarchical benchmark", name)
    n_users, n_items = size // RATINGS_PER_USER, size // RATINGS_PER_ITEM
    items = (n_items * rng.random(size) ** 2).astype(np.int64)  # few items have many ratings
    cells = np.unique(rng.integers(n_users, size=size) * n_items + items)
    users, items = np.divmod(cells, n_items)
    user_U, item_I = rng.normal(0, 0.5, n_users), rng.normal(0, 0.5, n_items)
    stars = 3.7 + user_U[users] + item_I[items] + rng.normal(0, 0.9, len(cells))
    values = np.clip(np.round(stars), 1, 5).astype(np.float32)
    return Ratings(users.astype(np.int32), items.astype(np.int32), values, n_users, n_items)
