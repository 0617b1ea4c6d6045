import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from darec.data import twins
from darec.data.ratings import Ratings
from darec.data.twins import COMMON, SIMILAR, copied_share


def test_ratings_repeated_for_an_edition_are_counted():
    """Items 0 and 1 have the same three raters, who agree on two; item 2 has other raters."""
    cells = [(0, 0, 5), (1, 0, 4), (2, 0, 3), (0, 1, 5), (1, 1, 4), (2, 1, 1), (0, 2, 5), (3, 2, 5)]
    users, items, stars = map(np.array, zip(*cells, strict=True))
    ratings = Ratings(users.astype(np.int32), items.astype(np.int32), np.float32(stars), 4, 4)
    assert copied_share(ratings) == 4 / 8
    assert copied_share(ratings.take(items == 2)) == 0.0


def by_hand(ratings):
    """Compare every two items."""
    stars = [{} for _ in range(ratings.n_items)]
    for user, item, value in zip(ratings.users, ratings.items, ratings.values, strict=True):
        stars[item][user] = value
    copied = set()
    for i, j in combinations(range(ratings.n_items), 2):
        common = stars[i].keys() & stars[j].keys()
        if len(common) >= COMMON and len(common) >= SIMILAR * len(
            stars[i].keys() | stars[j].keys()
        ):
            copied |= {(k, u) for u in common if stars[i][u] == stars[j][u] for k in (i, j)}
    return len(copied) / len(ratings)


@pytest.mark.parametrize("at_once", [1, 50, 2**20])
@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_that_of_comparing_every_two_items(seed, at_once, monkeypatch):
    monkeypatch.setattr(twins, "AT_ONCE", at_once)
    rng = np.random.default_rng(seed)
    rated = rng.random((12, 12)) < rng.random((12, 1))
    for item in range(1, 12, 2):  # an edition of the item before, with most of its raters
        rated[item] = rated[item - 1] ^ (rng.random(12) < 0.1)
    items, users = np.nonzero(rated)
    stars = rng.integers(1, 3, len(items)).astype(np.float32)
    ratings = Ratings(users.astype(np.int32), items.astype(np.int32), stars, 12, 12)
    share = copied_share(ratings)
    assert share == pytest.approx(by_hand(ratings), abs=1e-12) and share > 0


def test_a_user_with_very_many_ratings_takes_little_memory():
    n, rng = 8000, np.random.default_rng(0)
    users = np.concatenate([np.zeros(n), rng.integers(1, 3000, n)]).astype(np.int32)
    items = np.concatenate([np.arange(n), np.arange(n)]).astype(np.int32)
    ratings = Ratings(users, items, rng.integers(1, 6, 2 * n).astype(np.float32), 3000, n)
    tracemalloc.start()
    try:
        assert copied_share(ratings) > 0
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
