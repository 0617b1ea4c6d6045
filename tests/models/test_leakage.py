"""Test ratings cannot change what is fitted: they are nowhere in what a model or a search sees."""

import dataclasses

import numpy as np
import pytest

from darec.data.ratings import DomainPair, Ratings
from darec.data.split import SearchData, Training, split
from darec.models import MODELS
from tests.models.common import fitted


def rewritten(ratings: Ratings, hidden: Ratings) -> Ratings:
    """Return the ratings with every star of the held-out ones mirrored (1 <-> 5)."""
    cells = hidden.users.astype(np.int64) * ratings.n_items + hidden.items
    own = ratings.users.astype(np.int64) * ratings.n_items + ratings.items
    values = np.where(np.isin(own, cells), 6 - ratings.values, ratings.values)
    return dataclasses.replace(ratings, values=values)


@pytest.mark.parametrize("name", MODELS)
def test_rewriting_every_test_rating_changes_nothing_fitted(name, tiny_pair):
    parts = split(tiny_pair)
    source = rewritten(tiny_pair.source, parts.test_source)
    target = rewritten(tiny_pair.target, parts.test)
    ids = (tiny_pair.user_ids, tiny_pair.source_item_ids, tiny_pair.target_item_ids)
    again = split(DomainPair(tiny_pair.name, source, target, *ids))
    assert not np.array_equal(parts.test.values, again.test.values)
    before, after = fitted(name, parts.search), fitted(name, again.search)
    assert before.best_rmse == after.best_rmse
    asked = parts.test.users, parts.test.items
    np.testing.assert_array_equal(before.model.predict(*asked), after.model.predict(*asked))


def test_what_a_search_sees_has_no_place_for_test_ratings():
    assert [field.name for field in dataclasses.fields(Training)] == ["source", "target"]
    names = [field.name for field in dataclasses.fields(SearchData)]
    assert names == ["training", "valid", "valid_source", "cold_users"]
