import tracemalloc

import numpy as np
import pytest

from darec.data.copies import HELD_OUT, Agreement, agreement
from darec.data.pairs import build_pair
from darec.data.readers import read_ratings
from tests.data.editions import FIVE_LEVELS, TWO_LEVELS, made, with_twins
from tests.data.test_twins import by_hand


def test_agreement_and_chance_by_hand():
    """Items 0 and 1 are twins, which users 0 and 1 rated equally and user 2 did not.

    User 0's other ratings are 5 and 1, user 1's is 4, and user 2 has none.
    """
    users = [0, 1, 2, 0, 1, 2, 0, 0, 1]
    items = [0, 0, 0, 1, 1, 1, 2, 3, 4]
    ratings = made(users, items, [5, 4, 3, 5, 4, 1, 5, 1, 4], 3, 5)
    found = agreement(ratings)
    assert found.observed == 1.0 and found.chance == pytest.approx((0.5 + 1.0) / 2)
    assert found.z == pytest.approx(1.0)  # user 0 is .5 + .5 above chance, user 1 is level
    assert found.copyable == pytest.approx(4 * 0.9 / 9)
    assert found.copyable_by_chance == pytest.approx((2 * 0.9 * 0.5 + 2 * 0.9) / 9)


def test_without_twins_all_is_zero():
    found = agreement(made([0, 1, 2], [0, 1, 2], [5, 4, 3], 3, 3))
    assert set(vars(found).values()) == {0.0} and not found.shows_copies


def test_copyable_is_the_mean_over_random_hold_outs():
    rng = np.random.default_rng(0)
    ratings = with_twins(rng, FIVE_LEVELS, copied=0.5, n_items=20)
    pairs = [pair for pairs in by_hand(ratings).values() for pair in pairs]
    equal = [pair for pair in pairs if ratings.values[pair[0]] == ratings.values[pair[1]]]
    shares, n_test = [], round(HELD_OUT * len(ratings))
    for _ in range(500):
        test = set(rng.permutation(len(ratings))[:n_test].tolist())
        copied = {a for a, b in equal if a in test and b not in test}
        copied |= {b for a, b in equal if b in test and a not in test}
        shares.append(len(copied) / n_test)
    assert agreement(ratings).copyable == pytest.approx(np.mean(shares), abs=0.01)


@pytest.mark.parametrize("levels", [TWO_LEVELS, FIVE_LEVELS])
@pytest.mark.parametrize("seed", range(4))
def test_twins_that_agree_by_chance_show_no_copies(levels, seed):
    """Most ratings of two levels equal a twin's, and all the same nothing was copied."""
    found = agreement(with_twins(np.random.default_rng(seed), levels, copied=0.0, n_users=800))
    assert found.copyable > (0.4 if levels == TWO_LEVELS else 0.2)
    assert found.copyable == pytest.approx(found.copyable_by_chance, abs=0.02)
    assert abs(found.z) < 4 and not found.shows_copies


@pytest.mark.parametrize("levels", [TWO_LEVELS, FIVE_LEVELS])
def test_copies_show(levels):
    found = agreement(with_twins(np.random.default_rng(0), levels, copied=0.9))
    assert found.observed > 0.9 and found.chance < 0.8 and found.z > 8
    assert found.copyable > found.copyable_by_chance + 0.1 and found.shows_copies


@pytest.mark.parametrize(
    ("z", "copyable", "by_chance", "shows"),
    [(6, 0.5, 0.4, True), (4, 0.5, 0.4, False), (6, 0.5, 0.49, False), (-6, 0.4, 0.5, False)],
)
def test_copies_show_where_agreement_is_far_beyond_chance_and_matters(
    z, copyable, by_chance, shows
):
    assert Agreement(0.9, 0.5, z, copyable, by_chance).shows_copies == shows


@pytest.mark.realdata
def test_real_pairs_with_and_without_copies(real_data):
    for files, shows in (
        (("amazon_dense/books.inter", "amazon_dense/movies.inter"), True),
        (("epinions/ratings_c3.csv", "epinions/ratings_c19.csv"), False),
    ):
        pair, _ = build_pair("real", *(read_ratings(real_data / file) for file in files))
        for ratings in (pair.source, pair.target):
            found = agreement(ratings)
            assert found.shows_copies == shows and found.copyable > 0.05


def test_few_copies_do_not_matter():
    """One group of fifty is copied: far beyond chance, and no concern of a test."""
    rng = np.random.default_rng(0)
    copied = with_twins(rng, FIVE_LEVELS, copied=1.0, n_users=400, n_items=2)
    n = 8000
    cells = rng.permutation(400 * 2000)[:n]
    users = np.concatenate([copied.users, cells // 2000])
    items = np.concatenate([copied.items, cells % 2000 + 2])
    stars = np.concatenate([copied.values, rng.choice(FIVE_LEVELS, n)])
    found = agreement(made(users, items, stars, 400, 2002))
    assert found.z > 5 and found.copyable < 0.02 and not found.shows_copies


def test_a_user_with_very_many_ratings_takes_little_memory():
    n, rng = 8000, np.random.default_rng(0)
    users = np.concatenate([np.zeros(n), rng.integers(1, 3000, n)])
    items = np.concatenate([np.arange(n), np.arange(n)])
    ratings = made(users, items, rng.integers(1, 6, 2 * n), 3000, n)
    tracemalloc.start()
    try:
        assert agreement(ratings).copyable > 0
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
