import csv

import numpy as np
import pytest

from darec.data import store, twins
from darec.data.copies import agreement
from darec.data.drop_twins import Dropped, copies, drop_twins
from darec.data.ratings import DomainPair
from darec.data.selection import Selection
from darec.errors import UserError
from tests.data.editions import FIVE_LEVELS, TWO_LEVELS, made, with_twins


def with_items(ratings, *raters):
    """Return the ratings and further items, each given by its raters, whose stars are like."""
    n_items = ratings.n_items
    users, items, stars = list(ratings.users), list(ratings.items), list(ratings.values)
    for item, users_of_it in enumerate(raters, start=n_items):
        users += users_of_it
        items += [item] * len(users_of_it)
        stars += [1 + user % 5 for user in users_of_it]
    return made(users, items, stars, ratings.n_users, n_items + len(raters))


def copied(seed=0):
    """Return ratings of ten pairs of editions, of which the first is rated most."""
    return with_twins(np.random.default_rng(seed), FIVE_LEVELS, copied=1.0, n_items=20)


@pytest.mark.parametrize("at_once", [1, twins.AT_ONCE])
def test_one_item_of_each_group_is_kept(at_once, monkeypatch):
    """20 to 22 are a chain, of which 21 is rated most; 23 and 24 have equally many ratings."""
    monkeypatch.setattr(twins, "AT_ONCE", at_once)
    chain = [*range(8)], [*range(10)], [*range(2, 10)]
    equals = [*range(50, 56)], [*range(50, 56)]
    kept = np.flatnonzero(~copies(with_items(copied(), *chain, *equals)))
    assert kept.tolist() == [*range(0, 20, 2), 21, 23]


def test_a_twin_with_other_ratings_is_kept():
    ratings = with_items(copied(), [*range(50, 60)], [*range(50, 60)])
    for n_other, is_copy in ((2, True), (3, False)):
        stars = ratings.values.copy()
        stars[-n_other:] = 1 + stars[-n_other:] % 5
        assert copies(made(ratings.users, ratings.items, stars, 200, 22))[-1] == is_copy


def test_nothing_is_a_copy_where_twins_agree_by_chance():
    ratings = with_twins(np.random.default_rng(0), TWO_LEVELS, copied=0.0)
    assert not copies(ratings).any() and agreement(ratings).copyable > 0.4


def write(path, ratings, item):
    with path.open("w", newline="") as file:
        rows = zip(ratings.users, ratings.items, ratings.values, strict=True)
        csv.writer(file).writerows(
            [("user", "item", "rating"), *((f"u{u}", f"{item}{i:02d}", v) for u, i, v in rows)]
        )
    return path


def test_a_pair_is_prepared_without_twins(tmp_path):
    """The source has copies; the target has twins that agree by chance."""
    source, by_chance = copied(), with_twins(np.random.default_rng(1), TWO_LEVELS, copied=0.0)
    files = write(tmp_path / "s.csv", source, "s"), write(tmp_path / "t.csv", by_chance, "t")
    first = store.prepare("p", tmp_path, *files, Selection(min_ratings=2))
    before = first.pair
    assert first.twins is None and agreement(before.source).shows_copies
    assert not agreement(before.target).shows_copies
    second = store.prepare("p", tmp_path, *files, Selection(min_ratings=2), without_twins=True)
    after = second.pair
    assert not agreement(after.source).shows_copies and copies(after.source).sum() == 0
    assert after.source_item_ids.tolist() == [f"s{item:02d}" for item in range(0, 20, 2)]
    assert after.target.n_items == before.target.n_items
    assert min(after.source.user_counts.min(), after.target.user_counts.min()) >= 2
    editions = before.source.items % 2 == 1
    lost = len(before.user_ids) - len(after.user_ids)
    assert second.twins == Dropped(10, int(editions.sum()), 0, 0, lost) and lost > 0
    assert second.removed.source["twins"] >= int(editions.sum())
    assert len(after.source) + sum(second.removed.source.values()) == len(source)
    about = store.provenance(store.pair_file(tmp_path, "p"))
    assert about["drop_twins"] and about["twins"] == vars(second.twins)


def test_twins_that_come_up_once_users_are_gone_are_dropped_too():
    none = with_twins(np.random.default_rng(0), FIVE_LEVELS, copied=0.0)
    pairs, asked = [pair_of(copied(0), none), pair_of(copied(1), none), pair_of(none, none)], []

    def build(without):
        assert len(without["target"]) == 0
        asked.append(without["source"].tolist())
        return pairs[len(asked)]

    pair, dropped = drop_twins(pairs[0], build)
    assert pair is pairs[2] and dropped.source_items == 20 and dropped.target_items == 0
    odd = [f"s{item:02d}" for item in range(1, 20, 2)]
    assert asked == [odd, odd + odd]


def pair_of(source, target):
    ids = (
        np.array([f"{letter}{k:02d}" for k in range(size)], object)
        for letter, size in (("u", 200), ("s", source.n_items), ("t", target.n_items))
    )
    return DomainPair("p", source, target, *ids)


def test_it_is_said_when_no_user_is_left(tmp_path):
    """Each user has two editions and one other item."""
    users = np.arange(90)
    items = [np.zeros(90, int), np.ones(90, int), 2 + users % 9]
    rng = np.random.default_rng(0)
    stars = rng.choice(FIVE_LEVELS, 90)
    source = made(
        np.tile(users, 3), np.concatenate(items), [*stars, *stars, *rng.permutation(stars)], 90, 11
    )
    files = write(tmp_path / "s.csv", source, "s"), write(tmp_path / "t.csv", source, "t")
    rule = r"must leave a user with >= 3 ratings in each domain once copies are dropped"
    with pytest.raises(UserError, match=f"s.csv and .*t.csv: {rule}, but none of 90 users"):
        store.prepare("p", tmp_path, *files, Selection(min_ratings=3), without_twins=True)
    assert not store.pair_file(tmp_path, "p").exists()
