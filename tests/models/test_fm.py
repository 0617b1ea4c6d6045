"""The factorisation machine against its library and plain formulas."""

from dataclasses import replace
from itertools import combinations

import myfm
import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm

from darec.core.center import fit_centers
from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.core.tables import PairScores
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.models.fm import FMConfig, build_fm
from darec.models.fm.features import Features, of_new_row, sets
from darec.models.fm.model import n_weights_fm

SMALL = {"rank": 3, "iterations": 20}
KEPT = 15
"""Samples of the last three quarters of 20 sweeps."""


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


@pytest.fixture
def library(monkeypatch):
    """Record each machine of the library with its arguments, and let it keep its samples, too."""
    seen = []

    def spied(machine):
        class Spy(machine):
            def fit(self, *args, **kwargs):
                seen.append((self, *args))
                return super().fit(*args, **{**kwargs, "n_kept_samples": KEPT})

        return Spy

    for name in ("MyFMRegressor", "MyFMOrderedProbit"):
        monkeypatch.setattr(myfm, name, spied(getattr(myfm, name)))
    return seen


@pytest.mark.parametrize("blocks", ["none", "all"])
@pytest.mark.parametrize("output", ["stars", "residuals", "levels"])
def test_it_predicts_what_the_library_does(output, blocks, data, library):
    names = ("sets", "source_sets", "source_ratings")
    which = dict.fromkeys(names, blocks == "all")
    model = build_fm(FMConfig(output=output, **which, **SMALL), data.training, Run())
    model.train_epoch()
    machine, _, values, relations = library[0]
    nothing = sparse.csr_matrix((len(values), 0))
    if output == "levels":
        want = machine.predict_proba(nothing, relations) @ np.arange(1.0, 6)
    else:
        want = machine.predict(nothing, relations)
    target = data.training.target
    order = np.lexsort((target.items, target.users))
    users, items = target.users[order], target.items[order]
    if output == "residuals":
        center = fit_centers("hierarchical", data.training)["target"]
        want = want + center.predict(users, items)
    np.testing.assert_allclose(model.predict(users, items), want, atol=2e-4)


def test_the_features_summed_are_the_formula():
    rng = np.random.default_rng(0)
    block = sparse.random(4, 5, 0.6, "csr", rng=rng)
    features, w_F, v_FK = Features(4, (block,)), rng.normal(size=9), rng.normal(size=(9, 2))
    linear, factors = features.summed(w_F, v_FK)
    for row, x_F in enumerate(np.hstack([np.eye(4), block.toarray()])):
        pairs = sum(x_F[f] * x_F[g] * v_FK[f] @ v_FK[g] for f, g in combinations(range(9), 2))
        assert linear[row] == pytest.approx(w_F @ x_F + pairs)
        np.testing.assert_allclose(factors[row], x_F @ v_FK)
    assert features.sizes == [4, 5]


def test_sets_have_one_over_the_root_of_their_size():
    users, items = np.array([0, 0, 0, 0, 2], np.int32), np.array([3, 0, 1, 2, 0], np.int32)
    ratings = Ratings(users, items, np.float32([5, 3, 1, 2, 4]), 3, 4)
    want = [[0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_allclose(sets(ratings, "user").toarray(), want)
    of_item_0 = sets(ratings, "item").toarray()[0]
    np.testing.assert_allclose(of_item_0, [0.5**0.5, 0, 0.5**0.5])
    np.testing.assert_allclose(of_new_row((sets(ratings, "user")[2],)), [1, 1, 0, 0, 0])


@pytest.mark.parametrize("stars", [[1.0, 2.0, 4.0, 5.0], [2.5, 3.0, 4.5], [3.0, 5.0], [4.0]])
def test_expected_stars_by_hand(stars, data):
    """Also with levels that no rating has, with half stars, and with a single level."""
    target = data.training.target
    values = np.float32(stars)[target.values.astype(int) % len(stars)]
    training = Training(data.training.source, replace(target, values=values))
    model = build_fm(FMConfig(output="levels", **SMALL), training, Run())
    model.train_epoch()
    tables = model.tables()
    np.testing.assert_array_equal(tables.star_L, stars)
    user, item, expected = 3, 5, 0.0
    for s, cut_C in enumerate(tables.cut_SC.astype(float)):
        score = tables.user_SU[s, user] + tables.item_SI[s, item]
        score += tables.user_SUK[s, user] @ tables.item_SIK[s, item]
        below_L = np.append(norm.cdf(cut_C - score), 1.0)
        expected += np.diff(below_L, prepend=0) @ stars / len(tables.cut_SC)
    got = model.predict(np.array([user], np.int32), np.array([item], np.int32))
    assert got[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("output", ["residuals", "levels"])
def test_the_number_of_weights_bounds_what_it_holds(output, data):
    for sizes in ({"sets": False}, {"source_ratings": True}):
        config = FMConfig(output=output, **sizes, **SMALL)
        held = build_fm(config, data.training, Run()).weights().values()
        n_held = sum(weight.numel() for weight in held)
        assert n_held <= n_weights_fm(config, data.training) <= 1.1 * n_held


def test_all_items_new_users_and_saved_weights_of_levels(data):
    training = data.training
    model, again = (build_fm(FMConfig(output="levels", **SMALL), training, Run()) for _ in range(2))
    model.train_epoch()
    again.load_weights(model.weights())
    users, n_items = np.array([5, 0, 119]), training.target.n_items
    scores = model.tables().scores(users)
    of_pairs = PairScores(again, n_items).scores(users)
    np.testing.assert_allclose(scores, of_pairs, atol=2e-5)
    assert again.tables().item_IK.shape == (n_items, 3 * KEPT)
    known = {domain: training.of(domain) for domain in ("target", "source")}
    own = {
        domain: OwnRatings(r.items[r.users == 5], r.values[r.users == 5])
        for domain, r in known.items()
    }
    new = model.fold_in(own)
    assert np.corrcoef(new, scores[0])[0, 1] > 0.8
    np.testing.assert_array_equal(new, again.fold_in(own))


def test_a_new_user_without_own_factors_is_the_formula(data):
    """A user of the training data whose own feature is that of the average user."""
    model = build_fm(FMConfig(output="levels", **SMALL), data.training, Run())
    model.train_epoch()
    nothing = OwnRatings(np.zeros(0, np.int32), np.zeros(0, np.float32))
    rated = OwnRatings(np.array([0, 1], np.int32), np.float32([3, 5]))
    got = model.fold_in({"target": nothing, "source": rated})
    tables, n_target = model.tables(), data.training.target.n_items
    x_F = np.zeros(1 + n_target + data.training.source.n_items)
    x_F[[0, 1 + n_target, 2 + n_target]] = 1, 0.5**0.5, 0.5**0.5
    used, want = np.flatnonzero(x_F), 0.0
    for s, cut_C in enumerate(tables.cut_SC):
        v_FK = model._feature_SFK[s]
        score = x_F @ model._feature_SF[s] + tables.item_SI[s, 7]
        score += sum(x_F[f] * x_F[g] * v_FK[f] @ v_FK[g] for f, g in combinations(used, 2))
        score += (x_F @ v_FK) @ tables.item_SIK[s, 7]
        want += (1 + norm.cdf(score - cut_C).sum()) / len(tables.cut_SC)
    assert got[7] == pytest.approx(want, abs=1e-4)
