"""EMCDR and PTUPCDR against plain loops and closed forms."""

import numpy as np
import pytest
import torch

from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.models.emcdr import EMCDR, EMCDRConfig
from darec.models.mf import Prior
from darec.models.ptupcdr import PTUPCDR, PTUPCDRConfig

COLD, STRANGER = 7, 120
"""A user without target ratings, and one without any ratings."""


@pytest.fixture(scope="module")
def training(tiny_pair):
    """A user has source ratings alone, and another has none."""
    source, target = (
        split(tiny_pair).search.training.source,
        split(tiny_pair).search.training.target,
    )
    target = target.take(target.users != COLD)

    def with_stranger(r):
        return Ratings(r.users, r.items, r.values, r.n_users + 1, r.n_items)

    return Training(with_stranger(source), with_stranger(target))


def trained(model_of, config, training, epochs=5):
    model = model_of(config, training, Run())
    for _ in range(epochs):
        model.train_epoch()
    return model


def vectors(model, domain):
    """Return the vectors of users and items of a domain in double precision."""
    weights = model.weights()
    return [weights[f"{side}.{domain}"].double().numpy() for side in ("user_UX", "item_IX")]


def all_items(model, user, training):
    items = np.arange(training.target.n_items, dtype=np.int32)
    return model.predict(np.full(len(items), user, np.int32), items)


def by_loops(vector_X, item_IX, mean):
    return [mean + vector_X[:-1] @ y[:-1] + vector_X[-1] + y[-1] for y in item_IX]


def both_count(training):
    return np.minimum(training.source.user_counts, training.target.user_counts)


def test_a_users_vector_is_the_ridge_solution_given_the_items(training):
    """At the minimum of ``mean((r - x . y)^2 + reg (|x|^2 + |y|^2))``."""
    config = EMCDRConfig(center="mean", factors=2, reg=0.1, batch_size=10**6, learning_rate=0.05)
    model = trained(EMCDR, config, training, epochs=150)
    user_UX, item_IX = vectors(model, "source")
    source = training.source
    for user in (0, COLD):
        own = source.users == user
        y_nX = item_IX[source.items[own]]
        rest_n = source.values[own] - source.values.mean() - y_nX[:, -1]
        f_nX = np.column_stack([y_nX[:, :-1], np.ones(own.sum())])
        ridge_XX = 0.1 * own.sum() * np.eye(3)
        want = np.linalg.solve(f_nX.T @ f_nX + ridge_XX, f_nX.T @ rest_n)
        np.testing.assert_allclose(user_UX[user], want, atol=2e-3)


def test_the_linear_mapping_of_emcdr_is_the_ridge_solution(training):
    config = EMCDRConfig(
        center="mean", factors=3, mapping_reg=0.5, min_ratings=6, learning_rate=0.02
    )
    model = trained(EMCDR, config, training)
    fits = both_count(training) >= 6
    assert 0 < fits.sum() < len(fits) - 2
    source_nX, target_nX = (vectors(model, domain)[0][fits] for domain in ("source", "target"))
    matrix_XX = np.linalg.inv(source_nX.T @ source_nX + 0.5 * np.eye(4)) @ source_nX.T @ target_nX
    found = model.weights()["mapping.weight"].double().numpy().T
    np.testing.assert_allclose(found, matrix_XX, atol=1e-5)
    source_X, item_IX = vectors(model, "source")[0][COLD], vectors(model, "target")[1]
    want = by_loops(source_X @ matrix_XX, item_IX, training.target.values.mean())
    np.testing.assert_allclose(all_items(model, COLD, training), want, atol=1e-5)


def test_the_perceptron_of_emcdr_by_hand(training):
    config = EMCDRConfig(
        center="mean", factors=3, mapping="mlp", learning_rate=0.02, mapping_reg=1e-3
    )
    model = trained(EMCDR, config, training)
    w = {k: v.double().numpy() for k, v in model.weights().items() if k.startswith("mapping")}
    assert w["mapping.0.weight"].shape == (2 * 4, 4)
    source_X, item_IX = vectors(model, "source")[0][COLD], vectors(model, "target")[1]
    hidden = np.tanh(w["mapping.0.weight"] @ source_X + w["mapping.0.bias"])
    vector_X = w["mapping.2.weight"] @ hidden + w["mapping.2.bias"]
    want = by_loops(vector_X, item_IX, training.target.values.mean())
    np.testing.assert_allclose(all_items(model, COLD, training), want, atol=1e-5)


@pytest.mark.parametrize("history", ["liked", "all"])
def test_attention_and_bridge_of_ptupcdr_by_loops(history, training):
    config = PTUPCDRConfig(center="mean", factors=3, meta=5, history=history, learning_rate=0.02)
    model = trained(PTUPCDR, config, training)
    w = {k: v.double().numpy() for k, v in model.weights().items() if k.startswith("mapping")}
    source, (user_UX, source_IX) = training.source, vectors(model, "source")
    item_IX = vectors(model, "target")[1]

    def bridged(user):
        own = (source.users == user) & ((source.values > 3) | (history == "all"))
        items = source_IX[source.items[own]]
        hidden = [
            np.maximum(w["mapping.attention.0.weight"] @ v + w["mapping.attention.0.bias"], 0)
            for v in items
        ]
        score = np.array([w["mapping.attention.2.weight"][0] @ h for h in hidden])
        share = np.exp(score) / np.exp(score).sum()
        p_X = sum(a * v for a, v in zip(share, items, strict=True))
        m = np.maximum(w["mapping.bridge.0.weight"] @ p_X + w["mapping.bridge.0.bias"], 0)
        bridge = w["mapping.bridge.2.weight"] @ m + w["mapping.bridge.2.bias"]
        return user_UX[user] @ bridge.reshape(4, 4)

    want = by_loops(bridged(COLD), item_IX, training.target.values.mean())
    np.testing.assert_allclose(all_items(model, COLD, training), want, atol=1e-5)
    target, users = training.target, torch.tensor([5, 2])
    errors = []
    for user in (5, 2):
        own = target.users == user
        order = np.argsort(target.items[own])
        every = by_loops(bridged(user), item_IX, target.values.mean())
        errors += [(target.values[own][k] - every[target.items[own][k]]) ** 2 for k in order]
    np.testing.assert_allclose(model.errors(users).detach().numpy(), errors, rtol=1e-3)


def test_without_liked_items_the_bridge_is_the_one_of_no_items(training):
    model = PTUPCDR(PTUPCDRConfig(center="mean", factors=3), training, Run())
    net = model.net.mapping
    none = torch.zeros(0, dtype=torch.int64)
    p_BX = net.characteristics(torch.zeros(0, 4), none, 2)
    assert torch.equal(p_BX, torch.zeros(2, 4))
    source = training.source
    low = Ratings(
        source.users, source.items, np.full_like(source.values, 2), source.n_users, source.n_items
    )
    dull = trained(
        PTUPCDR, PTUPCDRConfig(center="mean", factors=3), Training(low, training.target), epochs=1
    )
    assert np.isfinite(all_items(dull, COLD, training)).all()


@pytest.mark.parametrize(
    ("model_of", "config"),
    [
        (EMCDR, EMCDRConfig(center="mean", factors=3)),
        (EMCDR, EMCDRConfig(center="mean", factors=3, mapping="mlp")),
        (PTUPCDR, PTUPCDRConfig(center="mean", factors=3)),
    ],
)
class TestBoth:
    def test_the_mapping_leaves_the_vectors_as_they_are(self, model_of, config, training):
        model = trained(model_of, config, training, epochs=1)
        before = {k: w.clone() for k, w in model.weights().items()}
        model.fit_mapping()
        moved = {k for k, w in model.weights().items() if not torch.equal(w, before[k])}
        assert all(name.startswith("mapping") for name in moved)

    def test_who_has_target_ratings_is_predicted_from_the_own_vector(
        self, model_of, config, training
    ):
        model = trained(model_of, config, training)
        user_UX, item_IX = vectors(model, "target")
        mean = training.target.values.mean()
        np.testing.assert_allclose(
            all_items(model, 3, training), by_loops(user_UX[3], item_IX, mean), atol=1e-5
        )
        np.testing.assert_allclose(
            all_items(model, STRANGER, training), mean + item_IX[:, -1], atol=1e-5
        )

    def test_nobody_may_have_enough_ratings_to_fit_the_mapping(self, model_of, config, training):
        source = training.source.take(training.source.users == COLD)
        model = trained(model_of, config, Training(source, training.target), epochs=1)
        assert not len(model.fitting_users)
        assert np.isfinite(all_items(model, COLD, training)).all()

    def test_a_new_user_with_a_cold_users_ratings_is_predicted_like_them(
        self, model_of, config, training
    ):
        model = trained(model_of, config, training, epochs=60)
        source, nothing = (
            training.source,
            OwnRatings(np.zeros(0, np.int32), np.zeros(0, np.float32)),
        )
        own = source.users == COLD
        user = {
            "source": OwnRatings(source.items[own], source.values[own]),
            "target": nothing,
        }
        new, trained_as = model.fold_in(user), all_items(model, COLD, training)
        average = model.fold_in({"source": nothing, "target": nothing})
        assert np.abs(new - trained_as).mean() < 0.5 * np.abs(average - trained_as).mean()


def test_the_posterior_of_a_new_users_vector_by_hand():
    """Prior mean 1 and variance 4, noise 2, two ratings of the feature 1."""
    prior = Prior.of(np.array([[3.0], [-1.0]]), noise=2.0)
    found = prior.posterior(np.ones((2, 1)), np.array([2.0, 5.0]))
    assert found == pytest.approx((1 / 4 + 7 / 2) / (1 / 4 + 1))


def test_a_centre_of_both_domains_adds_to_tables_and_to_new_users(training):
    """The hierarchical centre has factors of its own, and knows a cold user from the source."""
    config = EMCDRConfig(factors=3, center="hierarchical", learning_rate=0.02)
    model = trained(EMCDR, config, training, epochs=30)
    each = all_items(model, COLD, training)
    np.testing.assert_allclose(model.tables().scores(np.array([COLD]))[0], each, atol=1e-5)
    own, none = training.source.users == COLD, np.zeros(0, np.int32)
    new = model.fold_in(
        {
            "source": OwnRatings(training.source.items[own], training.source.values[own]),
            "target": OwnRatings(none, none.astype(np.float32)),
        }
    )
    average = all_items(model, STRANGER, training)
    assert np.abs(new - each).mean() < 0.5 * np.abs(average - each).mean()
