"""All items at once, and new users: what a model says of them fits what it says of single pairs."""

from dataclasses import replace

import numpy as np
import pytest

from darec.core.fold_in import FoldsIn, TrainedUsers
from darec.core.new_user import OwnRatings
from darec.core.tables import HasTables, PairScores, Tables, all_scores
from darec.data.ratings import Ratings
from darec.data.split import split
from darec.models import MODELS
from tests.models.common import fitted

WITHOUT_TABLES = {"conet"}
CANNOT_FOLD_IN = {"conet", "i_rbm", "i_cf_nade"}
EXACT = {"mean", "bias", "shared_bias", "hierarchical_bias", "item_knn"}
EXACT |= {"u_rbm", "u_cf_nade", "u_autorec", "u_darec"}
LEARNS_FROM_SOURCE = {
    *("shared_bias", "cmf", "cmf_unbiased", "cdtf", "fm", "fm_cdcf", "emcdr", "ptupcdr"),
    *("u_darec", "i_darec"),
    *("hierarchical_bias", "item_knn", "i_autorec", "u_autorec", "u_cf_nade"),  # by their centre
}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


@pytest.fixture(scope="module")
def model(name, data):
    centred = {"center": "mean"} if name == "pmf" else {}  # else few epochs do not reach the mean
    return fitted(name, data, steps=5, **centred).model


def test_all_items_at_once_have_the_predictions_of_single_pairs(name, model, data):
    n_items = data.training.target.n_items
    assert isinstance(model, HasTables) == (name not in WITHOUT_TABLES)
    users = np.array([5, 0, 119, 5])
    every = all_scores(model, n_items).scores(users)
    assert every.dtype == np.float32 and every.shape == (4, n_items)
    np.testing.assert_allclose(every, PairScores(model, n_items).scores(users), atol=2e-5)


def own_ratings(training, user):
    """Return a user's training ratings in both domains."""
    domains = {"source": training.source, "target": training.target}
    of_user = {domain: r.take(r.users == user) for domain, r in domains.items()}
    return {domain: OwnRatings(r.items, r.values) for domain, r in of_user.items()}


def folded_in(model, user, training):
    own = model.fold_in(user) if isinstance(model, FoldsIn) else None
    if own is not None:
        return own
    tables = {domain: model.tables(domain) for domain in model.domains}
    known = {"source": training.source, "target": training.target}
    return TrainedUsers(tables, known).fold_in(user)


def test_a_new_user_with_the_ratings_of_a_trained_one_gets_almost_the_same(name, model, data):
    """Encoders and biases are exact. Others are closer than the trained predictions are apart."""
    training = data.training
    if name in CANNOT_FOLD_IN:
        assert not isinstance(model, FoldsIn) or model.fold_in(own_ratings(training, 0)) is None
        return
    users = np.arange(20)
    trained = all_scores(model, training.target.n_items).scores(users)
    new = np.stack([folded_in(model, own_ratings(training, user), training) for user in users])
    assert new.dtype == np.float32 and new.shape == trained.shape
    if name in EXACT:
        np.testing.assert_allclose(new, trained, atol=1e-5)
    else:
        spread = (trained - trained.mean()).std()
        assert np.abs(new - trained).mean() < 0.75 * spread


def test_without_ratings_a_new_user_is_like_the_average_user(name, model, data):
    if name in CANNOT_FOLD_IN:
        return
    nothing = OwnRatings(np.zeros(0, np.int32), np.zeros(0, np.float32))
    new = folded_in(model, {"source": nothing, "target": nothing}, data.training)
    assert np.isfinite(new).all() and abs(new.mean() - data.training.target.values.mean()) < 1.5


def test_source_ratings_count_where_the_model_knows_both_domains(name, model, data):
    if name in CANNOT_FOLD_IN:
        return
    user = own_ratings(data.training, 3)
    nothing = OwnRatings(np.zeros(0, np.int32), np.zeros(0, np.float32))
    low, high = (
        replace(user["source"], values=np.full(len(user["source"]), stars, np.float32))
        for stars in (1, 5)
    )
    new = [
        folded_in(model, {"source": source, "target": nothing}, data.training)
        for source in (low, high)
    ]
    assert (np.abs(new[1] - new[0]).max() > 1e-4) == (name in LEARNS_FROM_SOURCE)


def test_a_ridge_solution_by_hand():
    """One factor of variance 1, no biases, noise 1/4: w = sum(x y) / (sum(x^2) + 1/4)."""
    user_UK = np.array([[1.0], [-1.0]], np.float32)
    item_IK = np.array([[1.0], [2.0], [0.5]], np.float32)
    table = Tables(user_UK, item_IK, np.zeros(2, np.float32), np.full(3, 3, np.float32))
    known = Ratings(
        np.array([0, 1], np.int32),
        np.array([0, 1], np.int32),
        np.array([4.5, 1.5], np.float32),  # predicted 4 and 1: both errors are half a star
        2,
        3,
    )
    prior = TrainedUsers({"target": table}, {"target": known})
    own = OwnRatings(np.array([0, 1], np.int32), np.array([4.0, 4.0], np.float32))
    weight = (1 * 1 + 2 * 1) / (1 + 4 + 0.25)
    np.testing.assert_allclose(
        prior.fold_in({"target": own}), 3 + weight * item_IK[:, 0], rtol=1e-5
    )


def test_a_model_that_was_loaded_predicts_for_new_users_as_before(name, model, data):
    if name in CANNOT_FOLD_IN:
        return
    again = fitted(name, data, steps=1, **({"center": "mean"} if name == "pmf" else {})).model
    again.load_weights({key: weight.clone() for key, weight in model.weights().items()})
    for user in (3, 40):
        own = own_ratings(data.training, user)
        before, after = (folded_in(each, own, data.training) for each in (model, again))
        np.testing.assert_allclose(after, before, atol=1e-5)
