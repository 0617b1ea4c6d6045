import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.paper import Counts

PAIR = planted_pair("p", Counts(20, 15, 12, 150, 100))


def cells(ratings):
    return set((ratings.users.astype(np.int64) * ratings.n_items + ratings.items).tolist())


@given(st.sampled_from([90, 80]), st.integers(0, 50))
def test_parts_are_disjoint_and_complete(train, seed):
    parts = split(PAIR, train, seed)
    search = parts.search
    for whole, *pieces in (
        (PAIR.target, search.training.target, search.valid, parts.test),
        (PAIR.source, search.training.source, search.valid_source, parts.test_source),
    ):
        assert sum(len(piece) for piece in pieces) == len(whole)
        assert set().union(*map(cells, pieces)) == cells(whole)
        assert len(pieces[2]) == round(len(whole) * (100 - train) / 100)
        assert len(pieces[1]) == round((len(whole) - len(pieces[2])) / 10)
    assert len(parts.final().target) == len(PAIR.target) - len(parts.test)


def test_seeds_decide_the_split_and_swapping_exchanges_domains():
    first, again, other = split(PAIR, 90, 1), split(PAIR, 90, 1), split(PAIR, 90, 2)
    assert first.test.digest == again.test.digest != other.test.digest
    swapped = first.search.swapped()
    assert swapped.training.target is first.search.training.source
    assert swapped.valid is first.search.valid_source


def test_other_fractions_are_refused():
    with pytest.raises(ValueError, match="train must be 90 or 80"):
        split(PAIR, 70)
