"""What our additions promise: an empty row gets the centre, and DARec starts as its stage 1."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from darec.core.config import parse
from darec.core.recommender import Run
from darec.data.split import Training, split
from darec.models.autorec import AutoRec, AutoRecConfig
from darec.models.darec import DARec, DARecConfig

CONFIG = {"hidden": 6, "learning_rate": 0.02, "batch_size": 16, "epochs": 2}
RESIDUAL = {"extractor": 8, "init": "xavier", "learning_rate": 0.02, "batch_size": 16}
VARIANTS = [("user", {"heads": "both"}), ("user", {"heads": "own"})]
VARIANTS += [("item", {}), ("item", {"predictors": "shared"})]
AXES = ["user", "item"]


@pytest.fixture(scope="module")
def training(tiny_pair):
    """Ratings in which user 3 and target item 4 have none."""
    known = split(tiny_pair).search.training
    kept = (known.target.users != 3) & (known.target.items != 4)
    return Training(known.source.take(known.source.users != 3), known.target.take(kept))


def trained(training, axis, **changes):
    model = AutoRec(AutoRecConfig(axis, **{**CONFIG, **changes}), training, Run())
    for _ in range(3):
        model.train_epoch()
    return model


def darec(training, axis, **changes):
    autorec = {"axis": axis, **CONFIG}
    return DARec(parse(DARecConfig, {"autorec": autorec, **RESIDUAL, **changes}), training, Run())


def asked(axis, training):
    """Pairs of the empty row."""
    n = training.target.n_items if axis == "user" else training.target.n_users
    every = np.arange(n, dtype=np.int32)
    empty = np.full(n, 3 if axis == "user" else 4, np.int32)
    return (empty, every) if axis == "user" else (every, empty)


@pytest.mark.parametrize("axis", AXES)
def test_an_empty_row_gets_the_centre_with_tanh_only(training, axis):
    pairs = asked(axis, training)
    for activation in ("tanh", "sigmoid"):
        model = trained(training, axis, activation=activation)
        same = np.array_equal(model.predict(*pairs), model.center.predict(*pairs))
        assert same == (activation == "tanh")


@pytest.mark.parametrize("axis", AXES)
def test_biases_stay_zero_with_tanh(training, axis):
    weights = trained(training, axis).weights()
    assert not weights["encoder_bias_K"].any() and not weights["decoder_bias_M"].any()
    assert weights["encoder_MK"].std() > 0.01  # it has been trained


@pytest.mark.parametrize("axis", AXES)
def test_training_on_both_is_training_on_one_matrix_of_the_shared_users(training, axis):
    """Without a centre, both domains' ratings are those of one domain with more items."""
    both = trained(training, axis, center="none", trains_on="both")
    one = trained(Training(training.source, training.as_one()), axis, center="none")
    for ours, theirs in zip(both.weights().values(), one.weights().values(), strict=True):
        torch.testing.assert_close(ours, theirs)
    pairs = training.target.users, training.target.items
    np.testing.assert_allclose(both.predict(*pairs), one.predict(*pairs), rtol=1e-6)
    n_rows = training.target.shape(axis)[0]
    assert len(both.embeddings()) == n_rows


@pytest.mark.parametrize(("axis", "changes"), VARIANTS)
def test_a_residual_head_starts_as_its_stage_1_and_never_moves_an_empty_row(
    training, axis, changes
):
    model, target = darec(training, axis, **changes), training.target
    pairs = target.users, target.items
    stage1 = model.stage1["target"]
    np.testing.assert_array_equal(model.predict(*pairs), stage1.predict(*pairs))
    for _ in range(3):
        model.train_epoch()
    assert not np.allclose(model.predict(*pairs), stage1.predict(*pairs), atol=1e-3)
    empty = asked(axis, training)
    np.testing.assert_array_equal(model.predict(*empty), stage1.predict(*empty))


@pytest.mark.parametrize(("axis", "changes"), VARIANTS[:2])
def test_a_residual_head_fits_what_stage_1_left(training, axis, changes):
    """The first step's errors are those of stage 1, since the head predicts 0.

    Items are left out: rows of the domain with fewer of them are visited again.
    """
    model = darec(training, axis, batch_size=1000, **changes)
    expected = {}
    for domain in ("source", "target"):
        ratings = training.of(domain)
        left = ratings.values - model.stage1[domain].predict(ratings.users, ratings.items)
        expected[domain] = np.square(left, dtype=np.float64).sum()
    losses = model.train_epoch()
    readings = 2 if changes.get("heads") == "both" else 1
    for domain, error in expected.items():
        # an empty row's other embedding reconstructs it too, or is left out if it is empty
        assert losses[f"loss_rating_{domain}"] == pytest.approx(readings * error, rel=0.05)


@pytest.mark.parametrize(("axis", "changes"), VARIANTS)
def test_both_implementations_of_a_residual_step_agree(training, axis, changes):
    from darec.models.darec.autograd_step import AutogradStep
    from darec.models.darec.cpu_step import CpuStep

    models = [darec(training, axis, **changes) for _ in range(2)]
    by_autograd = models[1]
    parts = by_autograd._net, by_autograd.config, by_autograd._step_batches, by_autograd._adam
    assert isinstance(models[0]._step._step, CpuStep)
    by_autograd._step._step = AutogradStep(*parts)
    for _ in range(2):
        rows = [model.train_epoch() for model in models]
    for name, value in rows[0].items():
        assert value == pytest.approx(rows[1][name], rel=1e-3), name
    for ours, theirs in zip(*(model.weights().values() for model in models), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-4)


def test_both_stages_need_the_same_activation():
    autorec = AutoRecConfig("item")
    with pytest.raises(ValueError, match="activation must be the same in both domains' AutoRec"):
        DARecConfig(autorec, replace(autorec, activation="sigmoid"))
