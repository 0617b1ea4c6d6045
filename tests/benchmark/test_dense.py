"""The timed reference computes what the training core computes."""

from dataclasses import replace

import pytest
import torch

from darec.benchmark.core import alone, autorec_epoch, darec_epoch, setting
from darec.benchmark.dense import DenseAutoRec, DenseDARec
from darec.core.recommender import Run
from darec.data.split import split
from darec.models.autorec import AutoRec
from darec.models.darec import DARec, DARecConfig

AXES = ["user", "item"]
DECAYS = ["coupled", "decoupled"]
CASES = [
    ("user", {}),
    ("user", {"heads": "own"}),
    ("item", {}),
    ("item", {"predictors": "shared"}),
]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_autorec_equals_dense_matrices_autograd_and_dense_adam(tiny_pair, axis, activation, decay):
    small = {"hidden": 6, "learning_rate": 0.01, "batch_size": 16, "activation": activation}
    config = replace(setting(axis, decay), **small)
    ours = AutoRec(config, alone(tiny_pair.target), Run())
    dense = DenseAutoRec(ours, tiny_pair.target)
    for _ in range(3):
        error = ours.train_epoch()["loss_rating_target"]
        assert error == pytest.approx(dense.train_epoch(), rel=1e-5)
    for got, want in zip(ours.weights().values(), dense.weights(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize(("axis", "changes"), CASES)
def test_darec_equals_dense_matrices_autograd_and_dense_adam(tiny_pair, axis, changes, decay):
    training = split(tiny_pair).search.training
    autorec = replace(setting(axis), hidden=6, learning_rate=0.01, batch_size=16)
    values = {
        "extractor": 8,
        "head": "plain",
        **changes,
        "init": "xavier",
        "beta": 0.5,
        "lambda_": 0.01,
        "decay": decay,
    }
    ours = DARec(DARecConfig(autorec, batch_size=16, **values), training, Run())
    dense = DenseDARec(ours, training)
    for _ in range(3):
        row, errors = ours.train_epoch(), dense.train_epoch()
        for domain, error in errors.items():
            assert row[f"loss_rating_{domain}"] == pytest.approx(error, rel=1e-4)
    for name, want in dense.net.state_dict().items():
        torch.testing.assert_close(ours.weights()[name], want, rtol=1e-2, atol=2e-4)


def test_a_figure_is_a_ratio_of_one_run(tiny_pair):
    training = split(tiny_pair).search.training
    figures = [
        autorec_epoch(tiny_pair.target, "item", "coupled", repeats=1),
        darec_epoch(training, "item", repeats=1),
    ]
    assert [figure.name for figure in figures] == ["autorec_epoch_item", "darec_epoch_item"]
    for figure in figures:
        assert figure.ratio == pytest.approx(figure.reference / figure.value)
