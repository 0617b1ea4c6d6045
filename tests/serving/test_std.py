"""How far ratings lie from their predictions, and lists that are ranked by a lower bound."""

import numpy as np
import pandas as pd
import pytest

import darec
from darec.core.hierarchical import HierarchicalBias, HierarchicalBiases
from darec.core.new_user import OwnRatings
from darec.data.ratings import Ratings
from darec.data.split import Training
from tests.serving.conftest import searched

SIGMA = np.diag([0.25, 0.04, 0.25, 0.04]) @ (np.eye(4) + 0.5) @ np.diag([0.25, 0.04, 0.25, 0.04])
"""Covariance of a user's level and slope in both domains."""
NOISE, TAU = 0.35, 0.2
"""Standard deviations of a rating and of an item's effect."""
WITHIN = 1.6449
"""Standard deviations on both sides of the mean, within which 90 % of a Gaussian lie."""


def drawn(rng, n_users=1500, n_items=400, n_ratings=20_000):
    """Draw the ratings of both domains from the model's own assumptions.

    Return the training ratings and held-out ratings of the target. Items 0 to 19 and every tenth
    user of the target have no training rating.
    """
    effects_UE = rng.multivariate_normal(np.zeros(4), SIGMA, n_users)
    training, held_out = {}, None
    for domain, part in (("target", slice(0, 2)), ("source", slice(2, 4))):
        popularity = 1 / np.arange(10, n_items + 10)
        cells = np.unique(
            rng.integers(n_users, size=n_ratings) * n_items
            + rng.choice(n_items, n_ratings, p=popularity / popularity.sum())
        )
        users, items = (each.astype(np.int32) for each in np.divmod(cells, n_items))
        is_held = np.zeros(len(users), bool)
        if domain == "target":
            is_held = (items < 20) | (users % 10 == 0) | (rng.random(len(users)) < 0.2)
        counts = np.maximum(1, np.bincount(items[~is_held], minlength=n_items))
        x_I = np.log(counts) - np.log(counts)[items[~is_held]].mean()
        item_I = -0.4 + 0.1 * np.log(counts) + rng.normal(0, TAU, n_items)
        level_U, slope_U = effects_UE[:, part].T
        values = 3 + level_U[users] + slope_U[users] * x_I[items] + item_I[items]
        values = np.clip(values + rng.normal(0, NOISE, len(users)), 1, 5).astype(np.float32)
        ratings = Ratings(users, items, values, n_users, n_items)
        training[domain] = ratings.take(~is_held)
        if domain == "target":
            held_out = ratings.take(is_held)
    return Training(**training), held_out


def test_of_90_percent_intervals_90_percent_hold_their_rating():
    """So do those of cold users and of cold items."""
    training, held = drawn(np.random.default_rng(0))
    biases = HierarchicalBias(HierarchicalBiases.fit(training), "target")
    cells = held.users, held.items
    errors_N = np.abs(held.values - biases.predict(*cells))
    is_within_N = errors_N < WITHIN * biases.std(*cells)
    cold_user, cold_item = held.users % 10 == 0, held.items < 20
    for which in (~cold_user & ~cold_item, cold_user & ~cold_item, cold_item & ~cold_user):
        assert which.sum() > 1000
        assert is_within_N[which].mean() == pytest.approx(0.90, abs=0.02)


def test_a_new_person_is_known_as_well_as_a_trained_one_with_the_same_ratings():
    """Not quite to the digit: the fit has updated the users' prior once more."""
    training, _ = drawn(np.random.default_rng(1))
    biases = HierarchicalBias(HierarchicalBiases.fit(training), "target")
    items = np.arange(400, dtype=np.int32)
    for row in (0, 1, 10):  # users 0 and 10 have source ratings alone
        own = {}
        for domain in ("source", "target"):
            rated = training.of(domain).take(training.of(domain).users == row)
            own[domain] = OwnRatings(rated.items, rated.values)
        trained = np.full(400, row, np.int32), items
        np.testing.assert_allclose(biases.std_of_new_user(own), biases.std(*trained), rtol=2e-3)
        np.testing.assert_allclose(biases.of_new_user(own), biases.predict(*trained), atol=2e-2)


@pytest.fixture(scope="module", params=["hierarchical_bias", "i_autorec", "cmf"])
def model(request, tiny_pair, tmp_path_factory):
    folder = searched(request.param, tiny_pair, tmp_path_factory.mktemp("out")).fit(
        tiny_pair, refit="train"
    )
    return darec.load(folder)


def test_a_prediction_has_the_same_standard_deviation_in_every_shape(model, tiny_pair):
    users = [*tiny_pair.user_ids[:3], "nobody", tiny_pair.user_ids[3]]
    items = [*tiny_pair.target_item_ids[:3], tiny_pair.target_item_ids[3], "nothing"]
    stars, std = model.predict(users, items, return_std=True)
    np.testing.assert_array_equal(stars, model.predict(users, items))
    assert std.dtype == np.float32 and (std > 0).all()
    assert std[3] > std[:3].min() and std[4] > std[:3].min()  # less is known of the unknown
    table = pd.DataFrame({"user": users, "item": items})
    asked = model.predict(table, return_std=True)
    assert list(asked.columns) == ["user", "item", "prediction", "std"]
    np.testing.assert_array_equal(asked["std"], std)
    assert list(model.predict(table).columns) == ["user", "item", "prediction"]
    me = model.fold_in(target=[(items[0], 5.0)])
    both = model.predict([users[0], me, me], [*items[:2], "nothing"], return_std=True)[1]
    np.testing.assert_array_equal(both, [std[0], me.std_J[1], me.std_J[-1]])


def test_a_lower_bound_ranks_by_the_prediction_minus_deviations(model, tiny_pair):
    user, items = tiny_pair.user_ids[7], list(tiny_pair.target_item_ids)
    me = model.fold_in(target=[(items[0], 5.0)])
    for person in (user, me, "nobody"):
        safe = model.recommend([person], n=5, exclude_seen=False, lower_bound=3.0)
        raw = model.recommend([person], n=len(items), exclude_seen=False).set_index("item")["score"]
        std = model.predict([person] * len(items), items, return_std=True)[1]
        bound = raw.loc[items].to_numpy() - np.float32(3) * std
        best = np.argsort(-bound, kind="stable")[:5]
        np.testing.assert_allclose(safe["score"], bound[best], atol=1e-5)
        assert (safe["score"].to_numpy() < raw.loc[safe["item"]].to_numpy()).all()
