"""On a pair with planted structure every model beats the mean, within a stated band."""

import numpy as np
import pytest

from darec.core.metrics import rmse
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts
from tests.models.common import fitted

AUTOREC = {"hidden": 20, "alpha": 0.05, "learning_rate": 0.01, "batch_size": 64, "epochs": 25}
DAREC = {"autorec": AUTOREC, "lambda_": 0.01, "beta": 1.0}
RBM = {"hidden": 20, "learning_rate": 0.1, "batch_size": 32}
NADE = {"hidden": 30, "learning_rate": 0.01, "decay": 0.02, "batch_size": 8}
LONG = {
    "pmf": {"factors": 5, "epochs": 80, "reg": 0.1, "learning_rate": 0.01},
    "cmf_unbiased": {"factors": 5, "reg": 0.02, "learning_rate": 0.03},
    "conet": {"embedding": 16},
    **{f"{axis}_rbm": RBM for axis in "ui"},
    **{f"{axis}_cf_nade": NADE for axis in "ui"},
    **{f"{axis}_autorec": AUTOREC for axis in "ui"},
    **{f"{axis}_darec": DAREC for axis in "ui"},
}

PAIR = planted_pair("planted", Counts(300, 150, 120, 7500, 6000))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mean"])
def test_each_model_beats_the_mean(name):
    data = split(PAIR).search
    mean = np.full(len(data.valid), data.training.target.values.mean(), np.float32)
    fit = fitted(name, data, 1 if MODELS[name].whole_fit else 25, **LONG.get(name, {}))
    ratio = fit.best_rmse / rmse(mean, data.valid.values)
    assert 0.7 < ratio < 0.97
