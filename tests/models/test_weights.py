"""The number of weights that a model is said to have bounds what it really has."""

from dataclasses import replace

import pytest

from darec.core.rating_rows import RatingRows
from darec.core.recommender import Run, TwoStage
from darec.data.split import split
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
from darec.tuning.cluster.shares import memory_of
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


def test_what_steps_hold_counts_in_a_trials_memory(tiny_pair):
    training, kind = split(tiny_pair).search.training, MODELS["i_cf_nade"]
    chosen = config("i_cf_nade")
    without = memory_of(replace(kind, n_temporary=no_weights), chosen, training)
    more = 4 * kind.n_temporary(chosen, training)
    assert memory_of(kind, chosen, training) == without + more > without
