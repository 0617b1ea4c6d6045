"""Weights of several models in one prediction: hand-computed cases and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.core import blend
from darec.core.blend import Differences, best_alone, cross_fitted, few_weights, weights


def random_differences(seed, n_ratings=60, n_members=4):
    """Members that tell a part of the truth, each with an error of its own."""
    random = np.random.default_rng(seed)
    rest_N = random.normal(size=n_ratings)
    error_NM = random.normal(size=(n_ratings, n_members))
    return Differences(0.5 * rest_N[:, None] + error_NM, rest_N)


def test_the_weight_of_one_member_is_the_ridge_solution():
    difference_N, rest_N = np.array([1.0, 2.0, 0.0]), np.array([2.0, 4.0, 1.0])
    found = weights(Differences(difference_N[:, None], rest_N))
    assert found == pytest.approx([10 / (5 + blend.RIDGE)])


def test_a_member_that_points_the_other_way_gets_no_weight():
    rest_N = np.array([1.0, -1.0, 2.0])
    assert weights(Differences(-rest_N[:, None], rest_N)).tolist() == [0.0]


@given(st.integers(0, 10**6))
def test_no_other_non_negative_weights_have_a_lower_penalised_error(seed):
    """The conditions of the optimum: no slope at positive weights, none downhill at 0."""
    own = random_differences(seed)
    found = weights(own)
    slope_M = own.member_NM.T @ (own.member_NM @ found - own.rest_N) + blend.RIDGE * found
    assert (found >= 0).all()
    np.testing.assert_allclose(slope_M[found > 0], 0, atol=1e-8)
    assert (slope_M[found == 0] >= -1e-8).all()


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_few_members_are_kept_with_the_weights_that_they_have_alone(seed, most):
    own = random_differences(seed, n_members=6)
    found = few_weights(own, most)
    kept = found > 0
    assert kept.sum() <= most and (found[kept] >= blend.LEAST_WEIGHT).all()
    again = weights(Differences(own.member_NM[:, kept], own.rest_N))
    np.testing.assert_allclose(found[kept], again)


def test_the_best_member_alone_has_the_lowest_error():
    rest_N = np.array([1.0, 0.0, -1.0])
    members = np.column_stack([0.2 * rest_N, 0.9 * rest_N, -rest_N])
    assert best_alone(Differences(members, rest_N)).tolist() == [0, 1, 0]


@given(st.integers(0, 10**6), st.integers(0, 59))
def test_a_rating_does_not_change_its_own_cross_fitted_prediction(seed, n):
    own = random_differences(seed)
    changed_N = own.rest_N.copy()
    changed_N[n] += 3
    first, second = (
        cross_fitted(Differences(own.member_NM, rest_N), np.random.default_rng(seed))
        for rest_N in (own.rest_N, changed_N)
    )
    assert first[n] == second[n] and not np.array_equal(first, second)


def test_a_blend_of_members_with_errors_of_their_own_is_better_than_each():
    own = random_differences(0, n_ratings=2000)
    added_N = cross_fitted(own, np.random.default_rng(0))
    alone = np.square(own.member_NM - own.rest_N[:, None]).mean(0)
    assert np.square(added_N - own.rest_N).mean() < alone.min()
