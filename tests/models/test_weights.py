"""The number of weights that a model is said to have bounds what it really has."""

from dataclasses import replace

import pytest

from darec.benchmark.memory import forget_peak, peak
from darec.core.rating_rows import RatingRows
from darec.core.recommender import Run, TwoStage
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.models.autorec import n_weights_autorec
from darec.models.cdtf import n_weights_cdtf
from darec.models.cf_nade import n_weights_cf_nade
from darec.models.cmf import n_weights_cmf
from darec.models.conet import n_weights_conet
from darec.models.darec import n_weights_darec
from darec.models.fm_cdcf import n_weights_fm_cdcf
from darec.models.kind import no_weights
from darec.models.pmf import n_weights_pmf
from darec.models.rbm import n_weights_rbm
from darec.paper import Counts
from darec.tuning.cluster.shares import PROCESS_BYTES, memory_of
from tests.models.common import config

CASES = {
    "pmf": (n_weights_pmf, {}),
    "cmf_unbiased": (n_weights_cmf, {}),
    "cmf": (n_weights_cmf, {"bias": True}),
    "cdtf": (n_weights_cdtf, {}),
    "fm_cdcf": (n_weights_fm_cdcf, {}),
    "conet": (n_weights_conet, {}),
    "u_rbm": (n_weights_rbm, {}),
    "i_rbm": (n_weights_rbm, {"conditional": True}),
    "u_cf_nade": (n_weights_cf_nade, {}),
    "i_cf_nade": (n_weights_cf_nade, {}),
    "u_autorec": (n_weights_autorec, {}),
    "i_autorec": (n_weights_autorec, {}),
    "u_darec": (n_weights_darec, {"pyramid": 2.0}),
    "i_darec": (n_weights_darec, {"predictors": "shared"}),
}


def n_held(model):
    """Return the number of values that a model keeps: weights, factors, frozen embeddings."""
    count = sum(weight.numel() for weight in model.weights().values())
    if isinstance(model, TwoStage):
        for own in model.stage1.values():
            count += n_held(own) + own.embeddings().numel()
    extra = model.state_dict().get("factors", {})
    return count + sum(tensor.numel() for tensor in extra.values())


@pytest.mark.parametrize("name", CASES)
def test_it_bounds_what_the_model_holds_on_either_domain(name, tiny_pair):
    n_weights, changes = CASES[name]
    chosen, data = config(name, **changes), split(tiny_pair).search
    for training in (data.training, data.swapped().training):
        held = n_held(MODELS[name].build(chosen, training, Run()))
        assert held <= n_weights(chosen, training) <= 1.25 * held


@pytest.mark.parametrize("name", ["u_rbm", "i_rbm", "u_cf_nade", "i_cf_nade"])
def test_no_batch_takes_more_for_a_while_than_the_bound(name, tiny_pair, monkeypatch):
    """The weights of all levels of a batch's ratings, which are read twice and have gradients."""
    data, kind = split(tiny_pair).search, MODELS[name]
    chosen = config(name, batch_size=7)
    sizes, gather = [], RatingRows.epoch

    def watched(rows, order, batch_size):
        epoch = gather(rows, order, batch_size)
        sizes.extend(len(batch.columns) for batch in epoch.batches)
        return epoch

    monkeypatch.setattr(RatingRows, "epoch", watched)
    model = kind.build(chosen, data.training, Run())
    for _ in range(20):
        model.train_epoch()
    n_ratings = kind.n_temporary(chosen, data.training) / (4 * 5 * chosen.hidden)  # five levels
    assert max(sizes) <= n_ratings <= 3 * max(sizes)


@pytest.mark.parametrize("name", ["i_rbm", "i_cf_nade"])
def test_a_trial_takes_no_more_memory_than_expected(name):
    """Its steps take more than its weights."""
    training = split(planted_pair("wide", Counts(2000, 600, 600, 20_000, 40_000))).search.training
    chosen, kind = config(name, hidden=100, batch_size=512), MODELS[name]
    kind.build(config(name), training, Run()).train_epoch()  # loads libraries and compiled code
    forget_peak()
    before = peak()
    kind.build(chosen, training, Run()).train_epoch()
    taken = peak() - before
    held = 4 * kind.n_weights(chosen, training)
    assert 2 * held < 4 * kind.n_temporary(chosen, training)
    assert held < taken <= memory_of(kind, chosen, training) - PROCESS_BYTES
    without = replace(kind, n_temporary=no_weights)
    assert taken > memory_of(without, chosen, training) - PROCESS_BYTES
