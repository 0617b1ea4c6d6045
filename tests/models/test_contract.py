"""What every model in `MODELS` must do; a new model is picked up by name."""

import copy
import io

import numpy as np
import pytest
import torch

from darec.core.recommender import TwoStage
from darec.data.ratings import Ratings
from darec.data.split import SearchData, Training, split
from darec.models import MODELS
from tests.gpu import needs_gpu
from tests.models.common import build, fitted

DETERMINISTIC = {"mean", "bias", "shared_bias", "hierarchical_bias", "item_knn"}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def predictions(model, ratings, domain="target"):
    return model.predict(ratings.users, ratings.items, domain)


def test_predictions_are_finite_and_in_the_order_asked(name, data):
    model, valid = fitted(name, data).model, data.valid
    every = predictions(model, valid)
    assert every.dtype == np.float32 and every.shape == valid.users.shape
    assert np.isfinite(every).all()
    order = np.random.default_rng(0).permutation(len(valid))
    shuffled = model.predict(valid.users[order], valid.items[order])
    np.testing.assert_allclose(shuffled, every[order], rtol=1e-5, atol=1e-6)
    one = model.predict(valid.users[:1], valid.items[:1])
    np.testing.assert_allclose(one, every[:1], rtol=1e-5, atol=1e-6)
    assert len(model.predict(valid.users[:0], valid.items[:0])) == 0


def test_every_domain_it_claims_is_predicted(name, data):
    model = fitted(name, data).model
    assert "target" in model.domains
    for domain in model.domains:
        held_out = data.valid if domain == "target" else data.valid_source
        assert np.isfinite(predictions(model, held_out, domain)).all()


def test_one_seed_is_one_model_and_another_seed_another(name, data):
    first, again, other = (
        predictions(fitted(name, data, seed=s).model, data.valid) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (name in DETERMINISTIC) == np.array_equal(first, other)


def test_resuming_equals_never_stopping_bit_for_bit(name, data):
    straight = fitted(name, data, steps=13)  # past RBM's change of phase
    half = fitted(name, data, steps=10)
    saved = io.BytesIO()
    torch.save(half.state_dict(), saved)
    saved.seek(0)
    resumed = fitted(name, data, steps=0)
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    rows = [resumed.step() for _ in range(3)]
    assert resumed.epoch == 13 and resumed.best_epoch == straight.best_epoch
    assert rows[-1]["best_valid_rmse"] == straight.best_rmse
    np.testing.assert_array_equal(
        predictions(resumed.model, data.valid), predictions(straight.model, data.valid)
    )
    for key, weight in straight.best_weights.items():
        assert torch.equal(weight, resumed.best_weights[key])


def test_loading_the_best_epochs_weights_brings_back_its_validation_rmse(name, data):
    fit = fitted(name, data, steps=4)
    fit.model.load_weights(fit.best_weights)
    assert fit.validate() == fit.best_rmse


def test_inputs_are_left_as_they_were(name, data):
    before = copy.deepcopy(data)
    fitted(name, data)
    for part in ("source", "target"):
        ours, theirs = getattr(data.training, part), getattr(before.training, part)
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.users, theirs.users)


def test_read_only_arrays_from_an_object_store_are_accepted(name, data):
    def frozen(ratings):
        arrays = [array.copy() for array in (ratings.users, ratings.items, ratings.values)]
        for array in arrays:
            array.flags.writeable = False
        return Ratings(*arrays, ratings.n_users, ratings.n_items)

    training = Training(frozen(data.training.source), frozen(data.training.target))
    fitted(name, SearchData(training, data.valid, data.valid_source), steps=1)


def test_a_second_build_ignores_the_first(name, data):
    before = predictions(fitted(name, data).model, data.valid)
    other = Training(data.training.target, data.training.source)
    build(name, other).train_epoch()
    np.testing.assert_array_equal(predictions(fitted(name, data).model, data.valid), before)


def test_training_rows_are_read_as_a_set(name, data):
    """The order in which ratings are listed changes nothing but rounding."""
    order = np.random.default_rng(0).permutation(len(data.training.target))
    target = data.training.target.take(order)
    training = Training(data.training.source, target)
    shuffled = fitted(name, SearchData(training, data.valid, data.valid_source))
    np.testing.assert_allclose(
        predictions(shuffled.model, data.valid),
        predictions(fitted(name, data).model, data.valid),
        rtol=1e-3,
    )


def test_two_stage_models_show_their_stage_1(name, data):
    model = build(name, data.training)
    assert isinstance(model, TwoStage) == (MODELS[name].stage1 is not None)
    if isinstance(model, TwoStage):
        for domain, held_out in (("target", data.valid), ("source", data.valid_source)):
            own = model.stage1[domain].predict(held_out.users, held_out.items)
            assert np.isfinite(own).all()


@needs_gpu
@pytest.mark.parametrize(("epochs", "most"), [(1, 1e-4), (10, 0.02)])
def test_cuda_agrees_with_the_cpu(name, data, epochs, most):
    """Rounding differs: after one epoch a little, and more after ten, as Adam divides by it."""
    from darec.core.fit import Fit
    from darec.core.recommender import Run
    from tests.models.common import config

    small = {"batch_size": 7} if MODELS[name].axis else {}  # several replays of a graph an epoch
    cpu = fitted(name, data, epochs, **small)
    gpu = Fit(MODELS[name].build(config(name, **small), data.training, Run(0, "cuda")), data)
    for _ in range(epochs):
        gpu.step()
    gap = predictions(gpu.model, data.valid) - predictions(cpu.model, data.valid)
    # sampled hidden units of an RBM may fall on the other side of their threshold
    assert np.sqrt(np.mean(np.square(gap))) < (0.1 if name.endswith("rbm") else most)
