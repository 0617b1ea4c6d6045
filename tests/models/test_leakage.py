"""Test ratings cannot change what is fitted: they are nowhere in what a model or a search sees."""

import dataclasses

import numpy as np
import pytest

from darec.data.folds import Fold, split_by_fold
from darec.data.holdout import Holdout
from darec.data.ratings import Ratings
from darec.data.split import SearchData, Training, split
from darec.models import MODELS
from tests.models.common import fitted
from tests.pairs import timed


def rewritten(ratings: Ratings, hidden: Ratings) -> Ratings:
    """Return the ratings with every star of the held-out ones mirrored (1 <-> 5)."""
    cells = hidden.users.astype(np.int64) * ratings.n_items + hidden.items
    own = ratings.users.astype(np.int64) * ratings.n_items + ratings.items
    values = np.where(np.isin(own, cells), 6 - ratings.values, ratings.values)
    return dataclasses.replace(ratings, values=values)


def nothing_fitted_changes(name, pair, divide):
    """Assert that a model fitted on a split is the same when its test ratings are others."""
    parts = divide(pair)
    source = rewritten(pair.source, parts.test_source)
    target = rewritten(pair.target, parts.test)
    again = divide(dataclasses.replace(pair, source=source, target=target))
    assert not np.array_equal(parts.test.values, again.test.values)
    before, after = fitted(name, parts.search), fitted(name, again.search)
    assert before.best_rmse == after.best_rmse
    asked = parts.test.users, parts.test.items
    np.testing.assert_array_equal(before.model.predict(*asked), after.model.predict(*asked))


@pytest.mark.parametrize("name", MODELS)
def test_rewriting_every_test_rating_changes_nothing_fitted(name, tiny_pair):
    nothing_fitted_changes(name, tiny_pair, split)


DIVIDED = {
    "temporal": lambda pair: split(pair, Holdout(split="temporal")),
    "user-temporal": lambda pair: split(pair, Holdout(split="user-temporal")),
    "file": lambda pair: split(pair, Holdout(split="file")),
    "fold": lambda pair: split_by_fold(pair, Fold(2, 5), 0),
}


@pytest.mark.parametrize("name", ["hierarchical_bias", "i_autorec", "u_darec", "cmf"])
@pytest.mark.parametrize("kind", DIVIDED)
def test_the_same_holds_for_every_kind_of_split(name, kind, tiny_pair):
    pair = timed(tiny_pair)
    parts_N = np.arange(len(pair.target)) % 3
    marks = dataclasses.replace(pair.target_marks, parts=parts_N.astype(np.int8))
    pair = dataclasses.replace(pair, target_marks=marks)
    nothing_fitted_changes(name, pair, DIVIDED[kind])


@pytest.mark.parametrize("kind", ["temporal", "user-temporal"])
def test_what_the_source_says_later_changes_nothing_fitted(kind, tiny_pair):
    """Ratings of the source after the end of the target's training ratings are the future."""
    pair, holdout = timed(tiny_pair), Holdout(split=kind)
    search = split(pair, holdout).search
    known = search.training.source.join(search.valid_source)
    known = known.join(split(pair, holdout).test_source)
    source = pair.source
    cells = known.users.astype(np.int64) * source.n_items + known.items
    left_out = source.take(
        ~np.isin(source.users.astype(np.int64) * source.n_items + source.items, cells)
    )
    assert len(left_out) > 100
    other = dataclasses.replace(pair, source=rewritten(source, left_out))
    again = split(other, holdout).search
    before, after = fitted("hierarchical_bias", search), fitted("hierarchical_bias", again)
    assert before.best_rmse == after.best_rmse


def test_what_a_search_sees_has_no_place_for_test_ratings():
    assert [field.name for field in dataclasses.fields(Training)] == ["source", "target"]
    names = [field.name for field in dataclasses.fields(SearchData)]
    assert names == ["training", "valid", "valid_source", "cold_users"]
