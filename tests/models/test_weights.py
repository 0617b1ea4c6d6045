"""The number of weights that a model is said to have bounds what it really has."""

import pytest

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
from darec.models.pmf import n_weights_pmf
from darec.models.rbm import n_weights_rbm
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
