"""The numbers of a data card, on ratings small enough to count by hand."""

from dataclasses import replace

import numpy as np
import pytest

from darec.data.facts import facts
from darec.data.holdout import Holdout
from darec.data.marks import Marks
from darec.data.ratings import DomainPair, Ratings
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from tests.pairs import partly_shared, timed

PAIR = planted_pair("p", Counts(40, 15, 12, 300, 200))


def ratings(rows, n_users, n_items):
    users, items, values = (np.array(column) for column in zip(*rows, strict=True))
    indices = users.astype(np.int32), items.astype(np.int32)
    return Ratings(*indices, values.astype(np.float32), n_users, n_items)


def test_counts_by_hand():
    source = ratings([(0, 0, 5), (0, 1, 3), (1, 0, 3)], 3, 2)
    target = ratings([(0, 0, 1), (2, 0, 2)], 3, 1)
    ids = np.array(["a", "b", "c"]), np.array(["x", "y"]), np.array(["z"])
    found = facts(DomainPair("p", source, target, *ids, Marks(np.array([3.0, 1.0, 2.0]))))
    assert (found.both, found.cold) == (1, [])  # too small for any split
    assert (found.source.users, found.source.items, found.source.ratings) == (2, 2, 3)
    assert found.source.density == 3 / 4 and found.target.density == 1
    assert found.source.histogram == {3.0: 2, 5.0: 1}
    assert found.source.per_user.tolist() == [1, 2] == found.source.per_item.tolist()
    assert found.source.mean == pytest.approx(11 / 3)
    assert found.source.times.tolist() == [1, 2, 3] and found.target.times is None


def test_more_levels_than_a_histogram_can_show_are_binned():
    values = np.linspace(1, 5, 200, dtype=np.float32)
    pair = replace(PAIR, target=replace(PAIR.target, values=values))
    counts = facts(pair).target.histogram
    assert len(counts) == 20 and sum(counts.values()) == 200


def test_cold_shares_are_those_of_the_splits_that_a_pair_can_have():
    pair = partly_shared(planted_pair("p", Counts(40, 100, 90, 300, 200)))
    found = facts(pair)
    words = [cold.split for cold in found.cold]
    assert words == ["90 % training", "80 % training", "20 % of the users cold"]
    for cold, holdout in zip(
        found.cold, (Holdout(), Holdout(80), Holdout(cold_users=20)), strict=True
    ):
        parts = split(pair, holdout)
        known = set(parts.search.training.target.items.tolist())
        assert cold.test == len(parts.test)
        assert cold.cold_items == np.mean([item not in known for item in parts.test.items])
    assert found.cold[-1].cold_users == 1 and max(cold.cold_items for cold in found.cold) > 0
    dated = facts(timed(PAIR)).cold
    assert [cold.split for cold in dated][2:4] == [
        "90 % training, tested on the last ratings",
        "90 % training, tested on each user's last ratings",
    ]


def test_the_values_of_ratings_do_not_matter_for_what_is_cold():
    mirrored = replace(PAIR, target=replace(PAIR.target, values=6 - PAIR.target.values))
    assert facts(mirrored).cold == facts(PAIR).cold
