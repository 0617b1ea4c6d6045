from itertools import combinations

import numpy as np
import pytest

from darec.data import twins
from darec.data.twins import COMMON, SIMILAR, find_twins
from tests.data.editions import made


def by_hand(ratings):
    """Compare every two items; return pairs of twins, and positions of their common ratings."""
    position = [{} for _ in range(ratings.n_items)]
    for n, (user, item) in enumerate(zip(ratings.users, ratings.items, strict=True)):
        position[item][user] = n
    found = {}
    for i, j in combinations(range(ratings.n_items), 2):
        common = position[i].keys() & position[j].keys()
        union = position[i].keys() | position[j].keys()
        if len(common) >= COMMON and len(common) >= SIMILAR * len(union):
            found[i, j] = {(position[i][user], position[j][user]) for user in common}
    return found


@pytest.mark.parametrize("at_once", [1, 50, 2**20])
@pytest.mark.parametrize("seed", range(5))
def test_twins_are_those_of_comparing_every_two_items(seed, at_once, monkeypatch):
    monkeypatch.setattr(twins, "AT_ONCE", at_once)
    rng = np.random.default_rng(seed)
    rated = rng.random((12, 12)) < rng.random((12, 1))
    for item in range(1, 12, 2):  # an edition of the item before, with most of its raters
        rated[item] = rated[item - 1] ^ (rng.random(12) < 0.1)
    items, users = np.nonzero(rated)
    ratings = made(users, items, rng.integers(1, 3, len(items)), 12, 12)
    found = {}
    for part in find_twins(ratings):
        for k, pair in enumerate(zip(part.first_T.tolist(), part.second_T.tolist(), strict=True)):
            assert pair not in found
            of_pair = part.pair_C == k
            found[pair] = set(zip(part.one_C[of_pair], part.other_C[of_pair], strict=True))
    assert found == by_hand(ratings) and found
