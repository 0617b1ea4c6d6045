"""On a pair with planted structure every model beats the mean, within a stated band."""

import numpy as np
import pytest

from darec.core.metrics import rmse
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts
from tests.models.common import fitted

LONG = {"hidden": 20, "alpha": 0.05, "learning_rate": 0.01, "batch_size": 64, "epochs": 25}


PAIR = planted_pair("planted", Counts(300, 150, 120, 7500, 6000))


@pytest.mark.parametrize("name", MODELS)
def test_each_model_beats_the_mean(name):
    kind, data = MODELS[name], split(PAIR).search
    mean = np.full(len(data.valid), data.training.target.values.mean(), np.float32)
    changes = LONG if kind.axis else {}
    if kind.stage1:
        changes = {"autorec": LONG, "lambda_": 0.01, "beta": 1.0}
    fit = fitted(name, data, 25, **changes)
    ratio = fit.best_rmse / rmse(mean, data.valid.values)
    assert 0.7 < ratio < 0.97
