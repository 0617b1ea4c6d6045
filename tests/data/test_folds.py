"""K-fold cross-validation: the test folds are disjoint, and cover the ratings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.data.folds import Fold, split_by_fold
from darec.data.split import in_both_domains, split
from darec.data.synthetic import planted_pair
from darec.errors import UserError
from darec.paper import Counts
from tests.data.test_temporal import cells
from tests.pairs import partly_shared

PAIR = planted_pair("p", Counts(40, 15, 12, 300, 200))


@given(st.sampled_from([PAIR, partly_shared(PAIR)]), st.integers(2, 12), st.integers(0, 50))
def test_each_rating_of_a_shared_user_is_tested_once(pair, k, seed):
    folds = [split_by_fold(pair, Fold(n, k), seed) for n in range(1, k + 1)]
    both_U = in_both_domains(pair)
    for whole, tests in (
        (pair.target, [fold.test for fold in folds]),
        (pair.source, [fold.test_source for fold in folds]),
    ):
        held = np.sort(np.concatenate([cells(test) for test in tests]))
        assert np.array_equal(held, np.sort(cells(whole)[both_U[whole.users]]))
        assert max(map(len, tests)) - min(map(len, tests)) <= 1
    for fold in folds:
        known, search = fold.search.training, fold.search
        for whole, *parts in (
            (pair.target, known.target, search.valid, fold.test),
            (pair.source, known.source, search.valid_source, fold.test_source),
        ):
            found = np.sort(np.concatenate([cells(part) for part in parts]))
            assert np.array_equal(found, np.sort(cells(whole)))
        others = both_U[pair.target.users].sum() - len(fold.test)
        assert len(fold.search.valid) == round(others / 10)


def test_folds_are_not_the_searched_split_and_repeat_themselves():
    searched, first = split(PAIR), split_by_fold(PAIR, Fold(1, 10), 0)
    assert set(cells(first.test)) != set(cells(searched.test))
    again, other = (split_by_fold(PAIR, Fold(1, 10), seed) for seed in (0, 1))
    assert first.test.digest == again.test.digest != other.test.digest
    assert first.search.training.target.digest == again.search.training.target.digest


def test_a_fold_that_there_is_not_and_too_many_folds_are_refused():
    for number, of in ((0, 5), (6, 5), (1, 1)):
        with pytest.raises(ValueError, match="a fold must be one of 2 or more, but got"):
            Fold(number, of)
    with pytest.raises(UserError, match="target: 200 ratings are too few for 201 folds"):
        split_by_fold(PAIR, Fold(201, 201), 0)
