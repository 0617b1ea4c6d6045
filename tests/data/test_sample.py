from dataclasses import replace

import numpy as np
import pytest

from darec.data.ratings import Ratings
from darec.data.sample import some_users
from darec.data.split import SearchData, Training, split

N_USERS, N_ITEMS = 40, 30


def told(users, items):
    """Return ratings whose values say their user and item."""
    values = (1 + 4 * (users * N_ITEMS + items) / (N_USERS * N_ITEMS)).astype(np.float32)
    return Ratings(users.astype(np.int32), items.astype(np.int32), values, N_USERS, N_ITEMS)


def from_value(values):
    """Return which users and items ratings were of."""
    cells = np.rint((values.astype(float) - 1) / 4 * N_USERS * N_ITEMS).astype(int)
    return cells // N_ITEMS, cells % N_ITEMS


def test_a_sample_has_all_ratings_of_its_users_under_new_numbers():
    cells = np.random.default_rng(0).permutation(N_USERS * N_ITEMS)[:600]
    parts = [told(part // N_ITEMS, part % N_ITEMS) for part in np.split(cells, [300, 400, 550])]
    target, valid, source, valid_source = parts
    data = SearchData(Training(source, target), valid, valid_source)
    sample, share = some_users(data, 100)
    ours = sample.training.target, sample.valid, sample.training.source, sample.valid_source
    assert 50 < len(ours[0]) < 150
    assert share == pytest.approx((len(ours[0]) + len(ours[2])) / (300 + 150))
    chosen = {int(user) for part in ours for user in from_value(part.values)[0]}
    assert len(chosen) <= ours[0].n_users == ours[2].n_users == round(40 * 100 / 300)
    user_of_new = {}  # of both domains
    for domain in (0, 2):
        old_of_new = user_of_new.copy()
        for part, whole in zip(ours[domain : domain + 2], parts[domain : domain + 2], strict=True):
            users, items = from_value(part.values)
            kept = whole.values[np.isin(whole.users, list(chosen))]
            assert sorted(part.values) == sorted(kept)
            for new, old in ((part.users, users), (part.items + N_USERS, items + N_USERS)):
                for a, b in zip(new.tolist(), old.tolist(), strict=True):
                    assert old_of_new.setdefault(a, b) == b
        assert len(set(old_of_new.values())) == len(old_of_new)
        user_of_new = {new: old for new, old in old_of_new.items() if new < N_USERS}
        n_items = len([number for number in old_of_new if number >= N_USERS])
        assert ours[domain].n_items == ours[domain + 1].n_items == n_items


def test_a_sample_has_ratings_in_every_part():
    """Only one user of 40 has source ratings, and another one a validation rating."""
    items = np.arange(N_ITEMS)
    target = told(np.repeat(np.arange(N_USERS), 10), np.tile(items[:10], N_USERS))
    source, valid_source = told(np.full(9, 17), items[:9]), told(np.array([17]), items[9:10])
    data = SearchData(Training(source, target), told(np.array([33]), items[20:21]), valid_source)
    sample, share = some_users(data, 50)
    assert len(sample.valid) == len(sample.valid_source) == 1 and share <= 1
    assert len(sample.training.source) == 9


def test_small_data_are_their_own_sample(tiny_pair):
    data = split(tiny_pair).search
    most = max(len(data.training.source), len(data.training.target))
    assert some_users(data, most) == (data, 1.0)
    assert some_users(replace(data, cold_users=20), 300)[0].cold_users == 20
