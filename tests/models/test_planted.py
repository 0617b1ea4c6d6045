"""On a pair with planted structure every model beats the mean, within a stated band."""

import numpy as np
import pytest

from darec.core.metrics import rmse
from darec.data.split import split
from darec.models import MODELS
from tests.models.common import fitted

LONG = {"hidden": 20, "alpha": 0.05, "learning_rate": 0.01, "batch_size": 32, "epochs": 40}


@pytest.mark.parametrize("name", MODELS)
def test_each_model_beats_the_mean(name, tiny_pair):
    kind, data = MODELS[name], split(tiny_pair).search
    mean = np.full(len(data.valid), data.training.target.values.mean(), np.float32)
    changes = {"autorec": LONG, "lambda_": 0.01, "beta": 1.0} if kind.stage1 else {}
    fit = fitted(name, data, epochs=40, **(LONG if kind.axis and not kind.stage1 else changes))
    ratio = fit.best_rmse / rmse(mean, data.valid.values)
    assert 0.3 < ratio < 0.97


def test_the_sparse_core_trains_as_the_dense_reference_does(tiny_pair):
    """Same formula, other random numbers: training losses end within 2 % of each other."""
    from darec.core.recommender import Run
    from darec.evaluation.benchmark import DenseAutoRec
    from darec.models.autorec import AutoRec, AutoRecConfig

    for axis in ("user", "item"):
        config = AutoRecConfig(axis, hidden=20, alpha=0.05, learning_rate=0.01, batch_size=32)
        sparse = AutoRec(config, tiny_pair.target, Run())
        dense = DenseAutoRec(config, tiny_pair.target)
        for _ in range(30):
            ours, theirs = sparse.train_epoch()["loss_rating_target"], dense.train_epoch()
        assert ours == pytest.approx(theirs, rel=0.02)
