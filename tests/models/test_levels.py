"""CF-RBM and CF-NADE against enumeration and loops over the formulas."""

import itertools
import math

import numpy as np
import pytest
import torch

from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import Training
from darec.models.cf_nade import NADE, NADEConfig
from darec.models.levels import Levels, log_frequencies
from darec.models.nade_net import costs
from darec.models.rbm import RBM, RBMConfig
from darec.models.tilt import reached

LEVELS = 5
LEVELS_OF_ROWS = [[0, 3, 4], [2, 4], [1]]
"""Observed levels of three users, each on the first items of three."""


@pytest.fixture
def ratings():
    cells = [(u, i, level) for u, row in enumerate(LEVELS_OF_ROWS) for i, level in enumerate(row)]
    users, items, levels = map(np.array, zip(*cells, strict=True))
    return Ratings(
        users.astype(np.int32), items.astype(np.int32), np.float32(levels + 1), n_users=3, n_items=3
    )


def randomised(model):
    """Draw every weight anew, in float64."""
    generator = torch.Generator().manual_seed(0)
    net = model._net.double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.7, generator=generator)
    return net


@pytest.fixture(params=[False, True], ids=["plain", "conditional"])
def rbm(request, ratings):
    model = RBM(RBMConfig("user", hidden=2, conditional=request.param), ratings, Run())
    return model, randomised(model)


def energy(net, levels, h):
    """E(v, h) of the first items' levels and binary hidden units, term by term."""
    net.requires_grad_(False)
    total = -float(net.hidden_bias_F.detach() @ torch.tensor(h).double())
    for i, level in enumerate(levels):
        total -= float(net.bias_ML[i, level])
        for j, on in enumerate(h):
            total -= float(net.weight_MLF[i, level, j]) * on
            if net.rated_MF is not None:
                total -= float(net.rated_MF[i, j]) * on
    return total


HIDDEN = list(itertools.product((0, 1), repeat=2))


def test_rbm_free_energy_and_hidden_units_equal_sums_over_all_hidden_states(rbm):
    model, net = rbm
    batch = model._rows.gather(torch.arange(3))
    logits_BF = net.whole().hidden_logits(batch, model._levels.of(batch.values))
    total = 0.0
    for levels, logits_F in zip(LEVELS_OF_ROWS, logits_BF, strict=True):
        weight = {h: math.exp(-energy(net, levels, h)) for h in HIDDEN}
        total -= math.log(sum(weight.values()))
        for j in range(2):
            p = sum(w for h, w in weight.items() if h[j]) / sum(weight.values())
            assert torch.sigmoid(logits_F[j]).item() == pytest.approx(p, rel=1e-6)
    assert net.whole().free_energy(batch, model._levels.of(batch.values)).item() == pytest.approx(
        total, rel=1e-6
    )


def test_rbm_visible_units_equal_the_joints_conditional(rbm):
    _, net = rbm
    h = (1, 1)
    logits_nL = net.whole().visible_logits(
        torch.tensor([h]).double(), torch.tensor([0]), torch.tensor([1])
    )
    others = itertools.product(range(LEVELS), repeat=2)
    weight = np.zeros(LEVELS)
    for first, last in others:
        for level in range(LEVELS):
            weight[level] += math.exp(-energy(net, [first, level, last], h))
    p = torch.softmax(logits_nL[0], 0).detach().numpy()
    np.testing.assert_allclose(p, weight / weight.sum(), rtol=1e-6)


def test_rbm_descends_the_statistics_of_contrastive_divergence(rbm):
    """The gradient of F(v0) - F(vT) is <v h>_T - <v h>_0, with h's probabilities."""
    model, net = rbm
    net.requires_grad_(True)
    batch = model._rows.gather(torch.arange(3))
    before, after = model._levels.of(batch.values), torch.tensor([4, 4, 0, 1, 1, 3])
    gap = net.whole().free_energy(batch, before) - net.whole().free_energy(batch, after)
    (grad_MLF,) = torch.autograd.grad(gap, [net.weight_MLF])
    want = torch.zeros_like(grad_MLF)
    for sign, level_n in ((-1, before), (1, after)):
        p_BF = torch.sigmoid(net.whole().hidden_logits(batch, level_n)).detach()
        for row, column, level in zip(batch.row_of, batch.columns, level_n, strict=True):
            want[column, level] += sign * p_BF[row]
    torch.testing.assert_close(grad_MLF, want)


def test_rbm_predicts_the_mean_field_expectation(ratings):
    model = RBM(RBMConfig("user", hidden=2), ratings, Run())
    net = randomised(model).float().requires_grad_(False)
    users, items = np.array([0, 2, 1]), np.array([2, 0, 1])
    predicted = model.predict(users, items)
    for u, i, got in zip(users, items, predicted, strict=True):
        logits = net.hidden_bias_F + sum(
            net.weight_MLF[c, level] for c, level in enumerate(LEVELS_OF_ROWS[u])
        )
        p = torch.softmax(net.bias_ML[i] + net.weight_MLF[i] @ torch.sigmoid(logits), 0)
        assert got == pytest.approx(sum((k + 1) * float(p[k]) for k in range(LEVELS)), rel=1e-5)


@pytest.fixture
def nade(ratings):
    model = NADE(NADEConfig("user", hidden=2, center="none"), Training(ratings, ratings), Run())
    return model, randomised(model)


def conditional(net, seen, column):
    """p(level of a column | levels seen so far), by the formulas' loops."""
    w, v = (m.detach().reshape(3, LEVELS, 2).numpy() for m in (net.input_MW, net.output_MW))
    h = net.hidden_bias_H.detach().numpy().copy()
    for other, level in seen:
        h += sum(w[other, k] for k in range(level + 1))
    h = np.tanh(h)
    s, scores = 0.0, []
    for k in range(LEVELS):
        s += float(net.bias_ML.detach()[column, k]) + v[column, k] @ h
        scores.append(s)
    shares = np.exp(scores)
    return np.array(scores), shares / shares.sum()


def test_nade_predicts_what_loops_over_the_formula_do_given_all_ratings_of_a_row(nade):
    model, net = nade
    net.float()
    users, items = np.array([0, 1, 2]), np.array([1, 2, 2])
    for u, i, got in zip(users, items, model.predict(users, items), strict=True):
        _, p = conditional(net, list(enumerate(LEVELS_OF_ROWS[u])), i)
        assert got == pytest.approx(p @ np.arange(1, LEVELS + 1), rel=1e-5)


def test_nade_conditionals_multiply_to_a_distribution_over_all_ratings(nade):
    model, net = nade
    batch = model._rows.gather(torch.tensor([0]))
    total = 0.0
    for levels in itertools.product(range(LEVELS), repeat=3):
        p = 1.0
        object.__setattr__(batch, "values", torch.tensor(levels).float() + 1)
        for t in range(3):
            seen = torch.tensor([1.0] * t + [0.0] * (3 - t)).double()
            with torch.no_grad():
                level_n = model._levels.of(batch.values)
                h = net.hidden_units(batch, reached(level_n, LEVELS) * seen[:, None])
                logits = net.logits(h, net.output_MW[t : t + 1], net.bias_ML[t : t + 1])
            ours = torch.softmax(logits[0], 0)[levels[t]].item()
            _, loops = conditional(net, list(enumerate(levels[:t])), t)
            assert ours == pytest.approx(loops[levels[t]], rel=1e-6)
            p *= ours
        total += p
    assert total == pytest.approx(1.0, rel=1e-6)


def test_ordinal_costs_equal_loops_over_the_ranks():
    s = np.array([0.3, -1.2, 0.8, 0.1, 2.0])
    for level in range(LEVELS):
        down = range(level, -1, -1)
        up = range(level, LEVELS)
        want = -sum(s[j] - np.log(np.exp(s[: j + 1]).sum()) for j in down)
        want -= sum(s[j] - np.log(np.exp(s[j:]).sum()) for j in up)
        nll = np.log(np.exp(s).sum()) - s[level]
        got = costs(torch.tensor(s)[None], torch.tensor([level]), 0.25)
        assert got.item() == pytest.approx(0.75 * nll + 0.25 * want)


def test_nade_divides_each_row_into_inputs_and_weighted_targets(nade):
    model, _ = nade
    batch = model._rows.gather(torch.arange(3))
    counts, seen = torch.tensor([3.0, 2.0, 1.0]), set()
    for _ in range(200):
        is_input_n, weight_n = model._divided(batch)
        inputs = torch.zeros(3).index_add(0, batch.row_of, is_input_n)
        assert (inputs < counts).all(), "a row keeps a target"
        weights = torch.zeros(3).index_add(0, batch.row_of, weight_n)
        torch.testing.assert_close(weights, counts)
        assert not (is_input_n * weight_n).any()
        seen.add(tuple(is_input_n.tolist()))
    assert len(seen) == 7 * 3, "every proper subset of each row's ratings is drawn"


def test_levels_and_frequencies(ratings):
    levels = Levels(ratings)
    assert levels.of(torch.tensor([1.0, 2.5, 4.4, 5.0])).tolist() == [0, 2, 3, 4]
    shares = log_frequencies(ratings, "user").exp()
    of_all = np.array([2, 2, 2, 2, 3]) / 11  # each level's count and one
    want = (np.array([1, 1, 1, 0, 0]) + 5 * of_all) / 8
    np.testing.assert_allclose(shares[0], want, rtol=1e-6)
    assert levels.expected(torch.full((1, LEVELS), 0.0)).item() == pytest.approx(3.0)
