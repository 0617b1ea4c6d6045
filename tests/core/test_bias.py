import numpy as np
import pytest

from darec.core.bias import Bias
from darec.core.center import fit_centers
from darec.data.ratings import Ratings
from darec.data.split import Training


def small():
    """Users 0 and 1 rate items 0 and 1; user 2 and item 2 have no rating."""
    users, items = np.array([0, 0, 1], np.int32), np.array([0, 1, 0], np.int32)
    return Ratings(users, items, np.array([5, 3, 1], np.float32), 3, 3)


def test_one_alternation_by_hand():
    """mu = 3; b_i = (2 - 2) / (1 + 2), 0 / (1 + 1); b_u = (2 + 0) / (1 + 2), -2 / (1 + 1)."""
    bias = Bias.fit(small(), reg_user=1, reg_item=1, sweeps=1)
    assert bias.mean == 3
    np.testing.assert_allclose(bias.item, [0, 0, 0])
    np.testing.assert_allclose(bias.user, [2 / 3, -1, 0])
    asked = np.array([0, 1, 2], np.int32), np.array([0, 2, 2], np.int32)
    np.testing.assert_allclose(bias.predict(*asked), [3 + 2 / 3, 2, 3], rtol=1e-6)


def test_the_fit_solves_the_ridge_problem(tiny_pair):
    """At the optimum the gradient of squared error + reg |b|^2 is zero for every bias."""
    ratings = tiny_pair.target
    bias = Bias.fit(ratings, reg_user=2, reg_item=3, sweeps=200)
    errors = ratings.values - bias.predict(ratings.users, ratings.items)
    for index, size, values, reg in (
        (ratings.users, ratings.n_users, bias.user, 2),
        (ratings.items, ratings.n_items, bias.item, 3),
    ):
        np.testing.assert_allclose(np.bincount(index, errors, size), reg * values, atol=1e-3)


def test_centres():
    ratings = small()
    asked = ratings.users, ratings.items

    def predicted(kind):
        return fit_centers(kind, Training(ratings, ratings))["target"].predict(*asked)

    assert predicted("none").tolist() == [0, 0, 0]
    assert predicted("mean").tolist() == [3, 3, 3]
    np.testing.assert_array_equal(predicted("bias"), Bias.fit(ratings).predict(*asked))


def test_no_rating_is_refused():
    with pytest.raises(ValueError, match="at least one rating"):
        Bias.fit(small().take(np.array([], np.int64)))
