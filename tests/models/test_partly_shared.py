"""Users of one domain only help to train (``darec prepare --overlap all``)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from darec.core.tables import all_scores
from darec.data.holdout import Holdout
from darec.data.split import split
from darec.models import MODELS
from tests.models.common import build, fitted
from tests.pairs import partly_shared


@pytest.mark.parametrize("cold_users", [None, 20])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_where_some_users_are_in_one_domain_only(name, cold_users, tiny_pair):
    pair = partly_shared(tiny_pair)
    data = split(pair, Holdout(cold_users=cold_users)).search
    fit = fitted(name, data, steps=2)
    everybody = np.arange(pair.target.n_users, dtype=np.int32)
    assert np.isfinite(fit.best_rmse)
    assert np.isfinite(all_scores(fit.model, pair.target.n_items).scores(everybody)).all()


@pytest.mark.parametrize("name", ["bias", "shared_bias", "cmf", "u_darec"])
def test_their_target_ratings_say_something_about_the_items(name, tiny_pair):
    training = split(partly_shared(tiny_pair)).search.training
    in_source_U = training.source.user_counts > 0
    fewer = replace(training, target=training.target.take(in_source_U[training.target.users]))
    users = np.flatnonzero(in_source_U)[:5].astype(np.int32)
    items = np.arange(5, dtype=np.int32)
    with_them, without = (build(name, each) for each in (training, fewer))
    for model in (with_them, without):
        model.train_epoch()
    assert not np.allclose(with_them.predict(users, items), without.predict(users, items))


def test_u_darec_answers_from_the_domain_that_knows_the_user(tiny_pair):
    pair = partly_shared(tiny_pair)
    model = build("u_darec", split(pair).search.training)
    model.train_epoch()
    target, source = (model.embeddings(domain) for domain in ("target", "source"))
    users, items = np.array([0, 60, 119], np.int32), np.array([1, 2, 3], np.int32)
    wanted = torch.stack([source[0], target[60], target[119]])  # user 0 is in the source alone
    predictor, row = model._net.predictor("target"), range(3)
    with torch.no_grad():
        hidden = predictor.hidden(model._net.extractor(wanted))
        dense = (hidden @ predictor.weight_MP.T + predictor.bias_M).numpy()
    base = model.stage1["target"].predict(users, items)  # the head adds to it
    predicted = model.predict(users, items)
    np.testing.assert_allclose(predicted, dense[row, items] + base, rtol=1e-5)
    table = all_scores(model, pair.target.n_items).scores(users)
    np.testing.assert_allclose(table[row, items], predicted, rtol=1e-5)
