"""A stack: members blended by their weights, as one model."""

import numpy as np
import pytest

from darec.core import blend
from darec.core.config import parse, plain
from darec.core.hierarchical import HierarchicalBias, hierarchical_biases
from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.data.split import split
from darec.evaluation.training import differences, train_again
from darec.models import MODELS, kind_of
from darec.models.stack import StackConfig
from tests.models.common import config


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def stack_config(weight_of):
    members = [
        {
            "model": name,
            "trial_id": f"t{n}",
            "config": plain(config(name)),
            "epoch": 2,
            "max_epochs": 4,
            "weight": weight,
        }
        for n, (name, weight) in enumerate(weight_of.items())
    ]
    return parse(StackConfig, {"members": members})


def built(weight_of, data):
    """A trained stack of small models."""
    stack = kind_of("stack").build(stack_config(weight_of), data.training, Run(3))
    stack.train_epoch()
    return stack


def of_member(name, data):
    """A member as the stack trains it."""
    member = MODELS[name].build(config(name), data.training, Run(3))
    for _ in range(2):
        member.train_epoch()
    return member


WEIGHTS = {"shared_bias": 0.5, "i_autorec": 0.75, "u_darec": 0.25}


def test_it_predicts_the_centre_plus_the_members_weighted_differences(data):
    valid = data.valid
    biases = HierarchicalBias(hierarchical_biases(data.training), "target")
    centre = biases.predict(valid.users, valid.items)
    wanted = centre.copy()
    for name, weight in WEIGHTS.items():
        own = of_member(name, data).predict(valid.users, valid.items)
        wanted += weight * (own - centre)
    found = built(WEIGHTS, data).predict(valid.users, valid.items)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_all_items_have_the_scores_of_the_pairs(data):
    stack = built(WEIGHTS, data)
    users, items = np.array([3, 5]), np.arange(data.training.target.n_items)
    scores = stack.tables().scores(users)
    for row, user in zip(scores, users, strict=True):
        pairs = stack.predict(np.full(len(items), user), items)
        np.testing.assert_allclose(row, pairs, atol=1e-4)


def test_weights_and_states_bring_it_back(data):
    stack, other = built(WEIGHTS, data), built(WEIGHTS, data)
    asked = data.valid.users, data.valid.items
    before = stack.predict(*asked)
    other.train_epoch()
    assert not np.array_equal(other.predict(*asked), before)
    other.load_weights(stack.weights())
    np.testing.assert_array_equal(other.predict(*asked), before)
    other.train_epoch()
    other.load_state_dict(stack.state_dict())
    np.testing.assert_array_equal(other.predict(*asked), before)


def test_a_new_user_is_predicted_by_the_members_or_by_nobody(data):
    n = 6
    own = OwnRatings(np.arange(n), np.full(n, 5, np.float32))
    user = {"target": own, "source": OwnRatings(np.zeros(0, int), np.zeros(0, np.float32))}
    folded = built({"hierarchical_bias": 1.0, "i_autorec": 0.5}, data).fold_in(user)
    assert folded.shape == (data.training.target.n_items,)
    alone = built({"hierarchical_bias": 1.0}, data).fold_in(user)
    assert np.isfinite(folded).all() and not np.allclose(folded, alone)
    both = built({"i_autorec": 0.5, "conet": 0.5}, data).fold_in(user)  # conet cannot
    np.testing.assert_array_equal(both, built({"i_autorec": 0.5}, data).fold_in(user))
    assert built({"conet": 0.5}, data).fold_in(user) is None


def test_a_member_that_learns_nothing_about_a_new_user_adds_nothing(data):
    nothing = OwnRatings(np.zeros(0, int), np.zeros(0, np.float32))
    source = OwnRatings(np.arange(6), np.full(6, 5, np.float32))
    of_source = {"target": nothing, "source": source}
    members = {"hierarchical_bias": 1.0, "bias": 0.5}
    stack, biases = built(members, data), built({"hierarchical_bias": 1.0}, data)
    np.testing.assert_array_equal(stack.fold_in(of_source), biases.fold_in(of_source))
    of_both = {"target": source, "source": source}
    assert not np.allclose(stack.fold_in(of_both), biases.fold_in(of_both))


def test_it_answers_for_cold_users_if_every_member_does(data):
    assert built({"hierarchical_bias": 1.0, "u_darec": 0.5}, data).cold_users
    assert not built({"hierarchical_bias": 1.0, "pmf": 0.5}, data).cold_users


def test_its_size_is_that_of_its_members(data):
    wanted = sum(
        MODELS[name].n_weights(config(name), data.training) for name in ("i_autorec", "u_darec")
    )
    asked = stack_config({"i_autorec": 0.5, "u_darec": 0.5})
    assert kind_of("stack").n_weights(asked, data.training) == wanted


def trained(weight_of, data):
    return train_again(kind_of("stack"), stack_config(weight_of), 1, data, Run(3))


def test_training_again_learns_the_weights_from_the_splits_validation_ratings(data, monkeypatch):
    monkeypatch.setattr(blend, "FEWEST", 10)
    found, valid = trained(WEIGHTS, data), data.valid
    singles = [train_again(MODELS[name], config(name), 4, data, Run(3)) for name in WEIGHTS]
    own = [single.model.predict(valid.users, valid.items) for single in singles]
    wanted = blend.weights(differences(own, data))
    members = found.config.members
    np.testing.assert_allclose([member.weight for member in members], wanted)
    assert [member.epoch for member in members] == [single.epoch for single in singles]
    assert found.epoch == 1


@pytest.mark.parametrize("fewest", [10, 500])
def test_weights_stay_for_one_member_and_for_few_validation_ratings(data, monkeypatch, fewest):
    monkeypatch.setattr(blend, "FEWEST", fewest)
    weight_of = {"i_autorec": 1.0} if fewest == 10 else WEIGHTS
    found = trained(weight_of, data)
    assert [member.weight for member in found.config.members] == list(weight_of.values())
    single = train_again(MODELS["i_autorec"], config("i_autorec"), 4, data, Run(3))
    if fewest == 10:
        assert found.valid_rmse == pytest.approx(single.valid_rmse, abs=1e-6)
