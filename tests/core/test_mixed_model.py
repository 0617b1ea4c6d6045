"""The hierarchical biases: against dense normal equations, another library and planted effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from darec.core import hierarchical
from darec.core.hierarchical import HierarchicalBias, HierarchicalBiases, hierarchical_biases
from darec.core.mixed_model import fit_effects, invert
from darec.core.new_user import OwnRatings
from darec.data.ratings import Ratings
from darec.data.split import Training, split

LEVEL = [[0.08, 0.05], [0.05, 0.08]]
"""Covariance of the users' levels in the target and in the source of planted ratings."""
ITEM, NOISE = 0.06, 0.16
"""Variances of the items' effects and of single planted ratings."""


def training_of(pair):
    return split(pair).search.training


def both(training):
    return {"target": training.target, "source": training.source}


def planted(n_users=400, n_items=60, per_user=15, seed=0):
    """Both domains' ratings as the model itself could have drawn them, without slopes.

    Hardly any lies outside the star scale; those are clipped.
    """
    rng = np.random.default_rng(seed)
    level_U2, domains = rng.multivariate_normal([0, 0], LEVEL, n_users), []
    for level_U in level_U2.T:
        item_I = rng.normal(0, ITEM**0.5, n_items)
        users = np.repeat(np.arange(n_users, dtype=np.int32), per_user)
        items = np.concatenate([rng.permutation(n_items)[:per_user] for _ in range(n_users)])
        stars = 3 + level_U[users] + item_I[items] + rng.normal(0, NOISE**0.5, len(users))
        values = np.clip(stars, 1, 5).astype(np.float32)
        domains.append(Ratings(users, items.astype(np.int32), values, n_users, n_items))
    return domains


def halves(seed=0):
    """Planted training ratings, and the target's tenth that is held out."""
    target, source = planted(seed=seed)
    out = np.random.default_rng(seed).random(len(target)) < 0.1
    return Training(source=source, target=target.take(~out)), target.take(out)


def test_effects_solve_the_mixed_model_equations(tiny_pair):
    """Given the variances, all effects minimise a quadratic form: one dense linear system."""
    training = training_of(tiny_pair)
    with pytest.warns(UserWarning, match="still changed after 1000 sweeps"):
        effects = fit_effects(both(training), tolerance=-np.inf)
    n_users, n_effects = training.target.n_users, 4
    n_items = [ratings.n_items for ratings in both(training).values()]
    size = n_users * n_effects + sum(n_items)
    matrix, right = np.zeros((size, size)), np.zeros(size)
    inverse_EE = np.linalg.inv(effects.sigma_EE)
    for user in range(n_users):
        own = slice(user * n_effects, (user + 1) * n_effects)
        matrix[own, own] += inverse_EE
    begin = n_users * n_effects
    for position, (domain, ratings) in enumerate(both(training).items()):
        fit = effects.domains[domain]
        of_items = np.arange(begin, begin + ratings.n_items)
        matrix[of_items, of_items] += 1 / fit.tau
        right[of_items] += fit.z_I2 @ fit.prior_2 / fit.tau
        for user, item, value in zip(ratings.users, ratings.items, ratings.values, strict=True):
            index = [user * 4 + 2 * position, user * 4 + 2 * position + 1, begin + item]
            design = np.array([1.0, fit.x_I[item], 1.0])
            matrix[np.ix_(index, index)] += np.outer(design, design) / fit.noise
            right[index] += design * (value - fit.mean) / fit.noise
        begin += ratings.n_items
    solved = np.linalg.solve(matrix, right)
    # the last sweep changed the variances a little after the items were fitted
    np.testing.assert_allclose(effects.user_UE.ravel(), solved[: n_users * n_effects], atol=2e-4)
    items = np.concatenate([fit.item_I for fit in effects.domains.values()])
    np.testing.assert_allclose(items, solved[n_users * n_effects :], atol=2e-4)


@pytest.mark.slow
def test_crossed_effects_agree_with_statsmodels():
    """One domain, two variances: predictions as those of restricted maximum likelihood."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    ratings, _ = planted(n_users=60, n_items=20, per_user=8)
    effects = fit_effects({"target": ratings})
    fit = effects.domains["target"]
    ours = fit.mean + effects.user_UE[ratings.users, 0] + fit.item_I[ratings.items]
    ours += effects.user_UE[ratings.users, 1] * fit.x_I[ratings.items]
    frame = pd.DataFrame({"r": ratings.values, "u": ratings.users, "i": ratings.items, "all": 1})
    crossed = {"u": "0 + C(u)", "i": "0 + C(i)"}
    theirs = MixedLM.from_formula("r ~ 1", groups="all", vc_formula=crossed, data=frame).fit()
    assert theirs.scale == pytest.approx(fit.noise, rel=0.1)
    assert np.corrcoef(ours, theirs.fittedvalues)[0, 1] > 0.995
    assert np.abs(ours - theirs.fittedvalues).mean() < 0.05


@pytest.mark.parametrize("size", [1, 2, 4])
def test_matrices_are_inverted_side_by_side(size):
    design = np.random.default_rng(0).normal(size=(50, size + 3, size))
    matrices = design.transpose(0, 2, 1) @ design
    inverted = np.moveaxis(matrices, 0, 2).copy()
    logs = invert(inverted)
    np.testing.assert_allclose(np.moveaxis(inverted, 2, 0), np.linalg.inv(matrices), rtol=1e-9)
    np.testing.assert_allclose(logs, np.linalg.slogdet(matrices)[1], rtol=1e-12)


def test_planted_variances_are_found():
    target, source = planted(n_items=300, per_user=30)
    effects = fit_effects({"target": target, "source": source})
    for fit in effects.domains.values():
        assert fit.noise == pytest.approx(NOISE, rel=0.1)
        assert fit.tau == pytest.approx(ITEM, rel=0.25)
    levels = effects.sigma_EE[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(levels, LEVEL, rtol=0.25)


def test_every_sweep_raises_the_bound(tiny_pair, monkeypatch):
    from darec.core import mixed_model

    bounds = []
    for sweeps in range(1, 12):
        monkeypatch.setattr(mixed_model, "SWEEPS", sweeps)
        with pytest.warns(UserWarning, match="still changed"):
            effects = fit_effects(both(training_of(tiny_pair)), tolerance=-np.inf)
        bounds.append(effects.bound)
    assert (np.diff(bounds) > -1e-6).all() and bounds[-1] > bounds[0] + 1


@pytest.mark.parametrize("seed", range(3))
def test_nine_of_ten_ratings_lie_in_the_90_percent_interval(seed):
    training, held = halves(seed)
    center = HierarchicalBias(HierarchicalBiases.fit(training), "target")
    predicted, std = center.predict(held.users, held.items), center.std(held.users, held.items)
    covered = np.abs(held.values - predicted) < 1.645 * std
    assert 0.88 < covered.mean() < 0.92


def test_source_ratings_say_something_about_a_cold_user():
    training, _ = halves()
    cold = training.target.users < 100
    target = training.target.take(~cold)
    center = HierarchicalBias(HierarchicalBiases.fit(replace(training, target=target)), "target")
    held = training.target.take(cold)
    errors = held.values - center.predict(held.users, held.items)
    unknown = LEVEL[0][0] - LEVEL[0][1] ** 2 / LEVEL[1][1]  # the level, given that in the source
    assert np.mean(errors**2) == pytest.approx(NOISE + unknown, rel=0.1)
    shuffled = np.random.default_rng(1).permutation(training.source.n_users).astype(np.int32)
    source = replace(training.source, users=shuffled[training.source.users])
    other = HierarchicalBias(HierarchicalBiases.fit(Training(source, target)), "target")
    assert np.mean((held.values - other.predict(held.users, held.items)) ** 2) > np.mean(errors**2)


def test_a_new_user_with_a_trained_ones_ratings_gets_that_ones_effects(tiny_pair):
    training = training_of(tiny_pair)
    biases = hierarchical_biases(training)
    known = {d: r.take(r.users == 7) for d, r in both(training).items()}
    user = {domain: OwnRatings(r.items, r.values) for domain, r in known.items()}
    mean_E, covariance_EE = biases.of_new_user(user)
    np.testing.assert_allclose(mean_E, biases.user_UE[7], atol=1e-5)
    np.testing.assert_allclose(covariance_EE, biases.covariance_UEE[7], atol=1e-5)


def test_exchanging_the_domains_exchanges_the_biases(tiny_pair):
    training = training_of(tiny_pair)
    biases, swapped = hierarchical_biases(training), hierarchical_biases(training.swapped())
    asked = training.source.users, training.source.items
    np.testing.assert_array_equal(
        HierarchicalBias(biases, "source").predict(*asked),
        HierarchicalBias(swapped, "target").predict(*asked),
    )


def test_equal_ratings_are_fitted_once(tiny_pair, monkeypatch):
    training = training_of(tiny_pair)
    first = hierarchical_biases(training)
    monkeypatch.setattr(hierarchical.HierarchicalBiases, "fit", None)
    again = Training(source=training.source.take(slice(None)), target=training.target)
    assert hierarchical_biases(again).user_UE.tobytes() == first.user_UE.tobytes()


def test_biases_survive_as_weights(tiny_pair):
    biases = hierarchical_biases(training_of(tiny_pair))
    again = HierarchicalBiases.of_weights(biases.weights())
    asked = np.array([0, 5]), np.array([1, 2])
    for domain in ("target", "source"):
        ours, theirs = (HierarchicalBias(each, domain) for each in (biases, again))
        np.testing.assert_array_equal(ours.std(*asked), theirs.std(*asked))
        np.testing.assert_array_equal(ours.predict(*asked), theirs.predict(*asked))


def test_equal_ratings_have_a_small_variance_and_no_rating_is_refused():
    users, items = np.array([0, 1, 1], np.int32), np.array([0, 0, 1], np.int32)
    ratings = Ratings(users, items, np.full(3, 4, np.float32), 2, 3)
    center = HierarchicalBias(HierarchicalBiases.fit(Training(ratings, ratings)), "target")
    asked = np.array([0, 1]), np.array([2, 0])
    np.testing.assert_allclose(center.predict(*asked), 4, atol=1e-3)
    assert np.isfinite(center.std(*asked)).all()
    nothing = ratings.take(np.array([], np.int64))
    with pytest.raises(ValueError, match="the source must have at least one rating"):
        HierarchicalBiases.fit(Training(source=nothing, target=ratings))
