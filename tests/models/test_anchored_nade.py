"""CF-NADE anchored at a centre, against loops over its formulas."""

import numpy as np
import pytest
import torch

from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.core.tables import PairScores, all_scores
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.models.cf_nade import NADE, NADEConfig
from darec.models.levels import level_shares
from darec.models.tilt import NARROWEST, Tilt, reached

LEVELS = 5
STARS = np.arange(1.0, LEVELS + 1)
CPU = torch.device("cpu")


def distribution(tilt, center):
    """The probabilities of the levels around a centre, in float64."""
    return torch.softmax(
        tilt.logits(torch.tensor(center, dtype=torch.float32)).double(), -1
    ).numpy()


@pytest.fixture(scope="module")
def drawn():
    """Ratings that are centres plus normal noise of 0.7 stars, rounded, and these centres."""
    generator, n = np.random.default_rng(0), 20_000
    centers = generator.uniform(2.0, 4.0, n).astype(np.float32)
    values = np.clip(np.rint(centers + generator.normal(0, 0.7, n)), 1, 5).astype(np.float32)
    index = np.arange(n, dtype=np.int32)
    return Ratings(index % 100, index // 100, values, 100, n // 100), centers


def test_tilted_levels_have_the_centre_as_their_mean(drawn):
    tilt = Tilt(*drawn, CPU)
    for center in (1.3, 2.0, 3.456, 4.97):
        assert distribution(tilt, center) @ STARS == pytest.approx(center, abs=1e-3)
    assert distribution(tilt, 7.0) @ STARS == pytest.approx(4.98, abs=1e-3)
    assert distribution(tilt, -1.0) @ STARS == pytest.approx(1.02, abs=1e-3)


def test_tilted_levels_are_the_shares_times_the_exponential_of_a_parabola(drawn):
    tilt, shares = Tilt(*drawn, CPU), level_shares(drawn[0])
    curvatures = [np.diff(np.log(distribution(tilt, c) / shares), 2) for c in (2.2, 3.0, 4.1)]
    assert -2 * NARROWEST < curvatures[0][0] < -0.1
    np.testing.assert_allclose(curvatures, np.full((3, 3), curvatures[0][0]), rtol=1e-3)


def test_tilted_levels_are_as_wide_as_the_ratings_around_their_centres(drawn):
    ratings, centers = drawn
    p_NL = distribution(Tilt(ratings, centers, CPU), centers)
    own = p_NL @ STARS**2 - (p_NL @ STARS) ** 2
    assert own.mean() == pytest.approx(np.square(ratings.values - centers).mean(), rel=0.05)


def test_reached_levels_count_beyond_their_probabilities():
    level_n = torch.tensor([2])
    assert reached(level_n, LEVELS).tolist() == [[1, 1, 1, 0, 0]]
    expected_nL = torch.tensor([[0.1, 0.2, 0.3, 0.3, 0.1]]).log()
    torch.testing.assert_close(
        reached(level_n, LEVELS, expected_nL), torch.tensor([[0, 1 - 0.9, 1 - 0.7, -0.4, -0.1]])
    )


@pytest.fixture
def training(tiny_pair):
    """A pair's training ratings without those of user 0 in the target."""
    given = split(tiny_pair).search.training
    return Training(given.source, given.target.take(given.target.users != 0))


@pytest.mark.parametrize("axis", ["user", "item"])
def test_predictions_equal_loops_over_the_formula(axis, training):
    model = NADE(NADEConfig(axis, hidden=2), training, Run())
    net, ratings = model._net, training.target
    with torch.no_grad():
        for weight in (net.input_MW, net.output_MW):
            torch.nn.init.normal_(weight, std=0.5)
    w_MLH, v_MLH = (
        weight.detach().numpy().reshape(-1, LEVELS, 2) for weight in (net.input_MW, net.output_MW)
    )
    rows, columns = (
        (ratings.users, ratings.items) if axis == "user" else (ratings.items, ratings.users)
    )
    given = model._center.predict(ratings.users, ratings.items)
    around = [distribution(model._tilt, center) for center in given]
    users, items = np.array([3, 0, 17, 3], np.int32), np.array([5, 7, 0, 40], np.int32)
    centers = model._center.predict(users, items)
    for u, i, center, got in zip(users, items, centers, model.predict(users, items), strict=True):
        row, column = (u, i) if axis == "user" else (i, u)
        h = np.zeros(2)
        for n in np.flatnonzero(rows == row):
            for k in range(LEVELS):
                beyond = (ratings.values[n] >= k + 1) - around[n][k:].sum()
                h += beyond * w_MLH[columns[n], k]
        s = np.cumsum(v_MLH[column] @ np.tanh(h))
        p = np.exp(s) * distribution(model._tilt, center)
        assert got == pytest.approx(p @ STARS / p.sum(), abs=1e-4)


def test_after_training_a_row_without_ratings_still_gets_its_centre(training):
    model = NADE(NADEConfig("user", hidden=4, learning_rate=0.01), training, Run())
    items = np.arange(training.target.n_items, dtype=np.int32)
    nobody, somebody = np.zeros_like(items), np.ones_like(items)
    for _ in range(5):
        model.train_epoch()
    centers = model._center.predict(nobody, items)
    np.testing.assert_allclose(model.predict(nobody, items), centers.clip(1.02, 4.98), atol=1e-3)
    gap = model.predict(somebody, items) - model._center.predict(somebody, items)
    assert np.abs(gap).max() > 0.01
    assert not model._net.bias_ML.any() and not model._net.hidden_bias_H.any()


@pytest.mark.parametrize("center", ["none", "mean", "bias"])
@pytest.mark.parametrize("axis", ["user", "item"])
def test_every_centre_has_tables_of_its_predictions(axis, center, tiny_pair):
    data = split(tiny_pair).search
    config = NADEConfig(axis, hidden=4, center=center, learning_rate=0.01)
    fit = Fit(NADE(config, data.training, Run()), data)
    fit.step()
    n_items, users = data.training.target.n_items, np.array([5, 0, 5])
    every = all_scores(fit.model, n_items).scores(users)
    np.testing.assert_allclose(every, PairScores(fit.model, n_items).scores(users), atol=2e-5)
