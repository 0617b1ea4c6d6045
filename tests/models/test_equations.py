"""Eq. 1-7 on a pair of two users and three items each, against loops over the dense matrices."""

import math

import numpy as np
import pytest
import torch

from darec.benchmark.core import alone
from darec.core.backend import TORCH
from darec.core.batches import Epoch
from darec.core.config import parse
from darec.core.lazy_adam import LazyAdam
from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import Training
from darec.models.autorec import AutoRec, AutoRecConfig
from darec.models.darec import DARec, DARecConfig
from darec.models.darec.autograd_step import losses, objective
from darec.models.darec.cpu_step import CpuStep
from darec.models.darec.network import DANN

PAPER = {"center": "none", "activation": "sigmoid"}
SOURCE = np.array([[5, 0, 3], [0, 2, 4]], np.float32)
TARGET = np.array([[0, 4, 1], [3, 0, 0]], np.float32)
NO_TARGET = np.array([[0, 4, 1], [0, 0, 0]], np.float32)
"""The second user has no target rating: left out as a target row, kept as a source row."""


def observed(matrix):
    users, items = (index.astype(np.int32) for index in matrix.nonzero())
    return Ratings(users, items, matrix[users, items], *matrix.shape)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_eq_1_and_2_by_hand():
    """One unit: f_0 = g(5 w_0 + 3 w_2 + b1); the loss counts only the four observed ratings."""
    ratings = observed(SOURCE)
    config = AutoRecConfig("user", hidden=1, alpha=0.5, batch_size=2, **PAPER)
    autorec = AutoRec(config, alone(ratings), Run())
    w1, b1, w2, b2 = [0.1, -0.2, 0.3], 0.05, [1.0, 2.0, -1.0], [0.5, 0.25, 0.75]
    weights = {
        "encoder_MK": torch.tensor(w1)[:, None],
        "encoder_bias_K": torch.tensor([b1]),
        "decoder_MK": torch.tensor(w2)[:, None],
        "decoder_bias_M": torch.tensor(b2),
    }
    autorec.load_weights(weights)
    f = [sigmoid(5 * 0.1 + 3 * 0.3 + b1), sigmoid(2 * -0.2 + 4 * 0.3 + b1)]
    np.testing.assert_allclose(autorec.embeddings()[:, 0], f, rtol=1e-6)
    y_hat = [[f[u] * w2[i] + b2[i] for i in range(3)] for u in range(2)]
    users, items = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
    np.testing.assert_allclose(autorec.predict(users, items), np.ravel(y_hat), rtol=1e-6)
    squared = sum((y_hat[u][i] - SOURCE[u, i]) ** 2 for u, i in ((0, 0), (0, 2), (1, 1), (1, 2)))
    losses = autorec.train_epoch()
    assert losses["loss_rating_target"] == pytest.approx(squared, rel=1e-6)
    norm = sum(float(weight.square().sum()) for weight in autorec.weights().values())
    assert losses["loss_regulariser"] == pytest.approx(0.5 * norm, rel=1e-6)


def test_the_item_axis_reads_columns_as_rows():
    config = AutoRecConfig("item", hidden=2, **PAPER)
    transposed = AutoRecConfig("user", hidden=2, **PAPER)
    by_item = AutoRec(config, alone(observed(SOURCE)), Run())
    by_user = AutoRec(transposed, alone(observed(SOURCE.T)), Run())
    by_user.load_weights(by_item.weights())
    users, items = np.array([0, 1, 1]), np.array([1, 0, 2])
    np.testing.assert_array_equal(by_item.predict(users, items), by_user.predict(items, users))


CASES = [("user", "both", "own", None), ("user", "own", "own", None), ("item", "own", "own", None)]
CASES += [("item", "own", "shared", None)]
CASES += [("user", "both", "own", False), ("item", "own", "own", True)]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def double_model(request):
    """A DARec in float64 with every rated row of both domains as one mini-batch."""
    axis, heads, predictors, reversal = request.param
    autorec = {"axis": axis, "hidden": 3, **PAPER, "epochs": 1, "batch_size": 2}
    values = {"autorec": autorec, "heads": heads, "predictors": predictors, "reversal": reversal}
    values |= {
        "head": "plain",
        "extractor": 4,
        "beta": 0.3,
        "mu": 2.0,
        "init": "xavier",
        "lambda_": 0.0,
    }
    config = parse(DARecConfig, values)
    target = NO_TARGET if heads == "both" else TARGET
    model = DARec(config, Training(observed(SOURCE), observed(target)), Run())
    model._net.double()
    steps = model._step_batches
    steps.embeddings_RK = steps.embeddings_RK.double()
    steps.is_rated_R = steps.is_rated_R.double()
    stacks = [steps._stacked] if steps._stacked else list(steps._ratings.values())
    batches = []
    for rows in stacks:
        rows._values = rows._values.double()
        batches += rows.epoch(torch.arange(rows.n_rows), rows.n_rows).batches
    matrices = {"source": SOURCE, "target": target}
    return model, batches, matrices if axis == "user" else {k: m.T for k, m in matrices.items()}


def losses_of(model, batches):
    return losses(model._net, model.config, model._step_batches.rows(*batches))


def dense_parts(model, matrices):
    """Return (source, target, domain) losses of Eq. 3 by loops over dense matrices."""
    net, rating, bce = model._net, {"source": 0.0, "target": 0.0}, 0.0
    for own, label in (("source", 0.0), ("target", 1.0)):
        for r in range(len(matrices[own])):
            if not matrices[own][r].any():
                continue
            feature = net.extractor(model.embeddings(own)[r])
            heads = ("source", "target") if model.config.heads == "both" else (own,)
            for head in heads:
                predictor = net.predictor(head)
                y_hat = predictor.weight_MP @ predictor.hidden(feature) + predictor.bias_M
                for m in matrices[head][r].nonzero()[0]:
                    rating[head] = rating[head] + (y_hat[m] - float(matrices[head][r, m])) ** 2
            p = torch.sigmoid(net.classifier(feature[None]))[0]
            bce = bce - (label * p.log() + (1 - label) * (1 - p).log())
    return rating["source"], rating["target"], bce


def test_eq_3_equals_loops_over_the_dense_matrices(double_model):
    model, batches, matrices = double_model
    parts = losses_of(model, batches)
    ours = parts.error["source"], parts.error["target"], parts.domain
    for got, want in zip(ours, dense_parts(model, matrices), strict=True):
        torch.testing.assert_close(got, want)
    assert parts.n_rows == sum(int(m.any(1).sum()) for m in matrices.values())


def test_gradients_equal_finite_differences_of_eq_4_to_7(double_model):
    """With a reversal the extractor sees -mu times the BCE, the classifier +1; without, +mu.

    Unless said otherwise, users have one (Eq. 4-6) and items have none (Eq. 7).
    """
    model, batches, matrices = double_model
    beta, mu, eps = model.config.beta, model.config.mu, 1e-6
    said = model.config.reversal
    reverses = model.config.autorec.axis == "user" if said is None else said
    total = objective(model.config, losses_of(model, batches)).total
    names, parameters = zip(*model._net.named_parameters(), strict=True)
    grads = torch.autograd.grad(total, parameters, allow_unused=True)
    for name, parameter, grad in zip(names, parameters, grads, strict=True):
        bce_weight = mu
        if reverses:
            bce_weight = -mu if name.startswith("extractor") else 1.0
        flat = parameter.data.view(-1)
        for k in range(0, len(flat), max(1, len(flat) // 4)):
            values = []
            for shift in (eps, -eps):
                flat[k] += shift
                with torch.no_grad():
                    source, target, bce = dense_parts(model, matrices)
                values.append(float(source + beta * target + bce_weight * bce))
                flat[k] -= shift
            slope = (values[0] - values[1]) / (2 * eps)
            got = 0.0 if grad is None else grad.to_dense().view(-1)[k].item()
            assert got == pytest.approx(slope, rel=1e-5, abs=1e-7), name


def test_gradients_by_hand_equal_autograds(double_model):
    """Adam's first moment is a tenth of the gradient after the first step."""
    model, batches, _ = double_model
    parts = losses_of(model, batches)
    named = dict(model._net.named_parameters())
    tables = {name for name in named if name.endswith("weight_MP")}
    others = [name for name in named if name not in tables]
    grads = torch.autograd.grad(objective(model.config, parts).total, [*named.values()])
    wanted = {name: grad.to_dense() for name, grad in zip(named, grads, strict=True)}
    adam = LazyAdam(
        [named[name] for name in sorted(tables)],
        [named[name] for name in others],
        0.1,
        0.0,
        "coupled",
    )
    adam.begin(*(Epoch([batch], torch.zeros(0, dtype=torch.int64)) for batch in batches))
    step = CpuStep(model._net, model.config, model._step_batches, adam)
    torch.testing.assert_close(step(*batches), parts.totals())
    *moments, row_12K = (table["moments"] for table in adam.state_dict()["tables"])
    for name, moments_M2K in zip(sorted(tables), moments, strict=True):
        torch.testing.assert_close(moments_M2K[:, 0], 0.1 * wanted[name], msg=name)
    sizes = [named[name].numel() for name in others]
    for name, moment in zip(others, row_12K[0, 0].split(sizes), strict=True):
        torch.testing.assert_close(moment.view_as(wanted[name]), 0.1 * wanted[name], msg=name)


def test_predictions_answer_from_the_rows_own_domain_if_it_has_ratings(double_model):
    model, _, matrices = double_model
    users, items = np.array([0, 1, 0]), np.array([2, 1, 0])
    rows, columns = (users, items) if model.config.autorec.axis == "user" else (items, users)
    for domain, other in (("source", "target"), ("target", "source")):
        predictor, embeddings_RK = model._net.predictor(domain), model.embeddings(domain)
        if model.config.autorec.axis == "user":  # users without ratings here, as user 1 in one
            rated_R1 = torch.from_numpy((matrices[domain] > 0).any(1))[:, None]
            embeddings_RK = torch.where(rated_R1, embeddings_RK, model.embeddings(other))
        with torch.no_grad():
            hidden = predictor.hidden(model._net.extractor(embeddings_RK))
            dense = (hidden @ predictor.weight_MP.T + predictor.bias_M).numpy()
        assert dense.shape == matrices[domain].shape
        got = model.predict(users, items, domain)
        np.testing.assert_allclose(got, dense[rows, columns], rtol=1e-6)


def test_exchanging_the_sources_users_leaves_i_darec_as_it_is():
    """As printed the item axis cannot use who rated what in the source (docs/paper.md)."""
    order = np.array([1, 0])
    pairs = [Training(observed(s), observed(TARGET)) for s in (SOURCE, SOURCE[order])]
    autorec = {"axis": "item", "hidden": 3, **PAPER, "epochs": 0}
    for predictors in ("own", "shared"):
        values = {
            "autorec": autorec,
            "head": "plain",
            "extractor": 4,
            "init": "xavier",
            "beta": 0.5,
        }
        config = parse(DARecConfig, {**values, "predictors": predictors, "learning_rate": 0.05})
        plain, exchanged = (DARec(config, training, Run()) for training in pairs)
        weights = {name: w.clone() for name, w in plain.stage1["source"].weights().items()}
        for name in ("encoder_MK", "decoder_MK", "decoder_bias_M"):
            weights[name] = weights[name][order]
        exchanged.stage1["source"].load_weights(weights)
        parts = [exchanged.stage1[domain].embeddings() for domain in ("target", "source")]
        exchanged._step_batches.embeddings_RK = torch.cat(parts)
        net = {name: w.clone() for name, w in plain.weights().items()}
        for name in ("source.weight_MP", "source.bias_M"):
            if name in net:
                net[name] = net[name][order]
        exchanged.load_weights(net)
        rows = [[model.train_epoch() for _ in range(5)] for model in (plain, exchanged)]
        same = all(a == pytest.approx(b, rel=1e-4) for a, b in zip(*rows, strict=True))
        assert same == (predictors == "own")


@pytest.mark.parametrize("pyramid", [0.5, 1.0, 2.0])
def test_layers_are_as_wide_as_they_are_read(pyramid):
    """Predictors: H, H r, H r^2 units; classifier: H, H / 2, 1 (docs/paper.md, reading 10)."""
    net = DANN(
        6, width=20, pyramid=pyramid, n_source=7, n_target=9, backend=TORCH, is_residual=False
    )
    shapes = {name: tuple(w.shape) for name, w in net.named_parameters() if w.dim() == 2}
    middle, last = int(20 * pyramid), int(20 * pyramid**2)
    assert shapes == {
        "extractor.0.weight": (20, 6),
        "classifier.0.weight": (10, 20),
        "classifier.2.weight": (1, 10),
        **{f"{domain}.hidden.0.weight": (middle, 20) for domain in ("source", "target")},
        **{f"{domain}.hidden.2.weight": (last, middle) for domain in ("source", "target")},
        "source.weight_MP": (7, last),
        "target.weight_MP": (9, last),
    }


def test_paper_initialisation():
    autorec = {"axis": "item", "hidden": 300, **PAPER, "epochs": 0}
    values = {"autorec": autorec, "head": "plain", "extractor": 200, "init": "paper"}
    config = parse(DARecConfig, values)
    net = DARec(config, Training(observed(SOURCE), observed(TARGET)), Run())._net
    for name, parameter in net.named_parameters():
        if parameter.dim() == 1:
            assert not parameter.any(), name
        elif parameter.numel() > 10_000:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.05), name
    layers = [module for module in net.target.hidden if hasattr(module, "weight")]
    assert len(layers) == 2 and net.target.weight_MP.shape == (2, 200)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"heads": "both"}, "heads='both' needs the user axis"),
        ({"autorec": {"axis": "user"}, "predictors": "shared"}, "needs the item axis"),
        ({"pyramid": 0.7}, "pyramid must be 0.5, 1 or 2, but got 0.7"),
        ({"autorec_source": {"axis": "item", "hidden": 7}}, "hidden must be the same in both"),
        ({"gamma": 1.0}, "DARecConfig has no field 'gamma'"),
        ({"init": "zeros"}, "DARecConfig.init must be .paper. or .xavier., but got .zeros."),
    ],
)
def test_bad_configs_name_the_rule(changes, rule):
    with pytest.raises(ValueError, match=rule):
        parse(DARecConfig, {"autorec": {"axis": "item"}, **changes})
