import numpy as np
import pytest

from darec.data.store import counts
from darec.data.synthetic import STAR_SHARES, planted_pair, synthetic_pair
from darec.paper import TABLE_1, Counts


@pytest.mark.parametrize("name", TABLE_1)
def test_the_stand_in_has_table_1s_counts_and_amazons_stars(name):
    pair = synthetic_pair(name)
    assert pair.name == f"{name}-synthetic"
    assert counts(pair) == TABLE_1[name]._asdict()
    for ratings in (pair.source, pair.target):
        shares = np.bincount(ratings.values.astype(int), minlength=6)[1:] / len(ratings)
        np.testing.assert_allclose(shares, STAR_SHARES, atol=1e-3)
        assert ratings.user_counts.min() >= 1 and ratings.item_counts.min() >= 1
        top = np.sort(ratings.item_counts)[::-1]
        assert top[: len(top) // 10].sum() > 2 * len(ratings) / 10


def test_one_seed_is_one_pair():
    sizes = Counts(30, 20, 25, 200, 150)
    first, again, other = (planted_pair("p", sizes, seed=seed).digest for seed in (0, 0, 1))
    assert first == again != other


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="every user and item must have a rating"):
        planted_pair("p", Counts(30, 20, 25, 10, 150))
