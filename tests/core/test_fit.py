import io
import math

import numpy as np
import pytest
import torch

from darec.core.cold import ColdRule
from darec.core.fit import Fit
from darec.core.recommender import DivergedError
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from tests.models.common import fitted


class Scripted:
    """A recommender that predicts a scripted constant each epoch."""

    domains = ("target",)

    def __init__(self, constants):
        self.constants, self.epoch = constants, -1

    def train_epoch(self):
        self.epoch += 1
        return {"loss_rating_target": self.constants[self.epoch]}

    def predict(self, users, items, domain="target"):
        return np.full(len(users), self.constants[self.epoch], np.float32)

    def weights(self):
        return {"epoch": torch.tensor(float(self.epoch))}


def test_the_epoch_with_the_lowest_validation_rmse_is_kept(tiny_pair):
    data = split(tiny_pair).search
    fit = Fit(Scripted([1.0, float(data.valid.values.mean()), 5.0]), data)
    rows = [fit.step() for _ in range(3)]
    assert fit.best_epoch == 2
    assert fit.best_weights["epoch"] == 1.0
    assert fit.best_rmse == min(row["valid_rmse"] for row in rows) == rows[2]["best_valid_rmse"]


def test_training_stalls_without_a_better_rmse_for_patience_epochs(tiny_pair, monkeypatch):
    monkeypatch.setattr("darec.core.fit.PATIENCE", 2)
    data = split(tiny_pair).search
    mean = float(data.valid.values.mean())
    fit = Fit(Scripted([1.0, mean, mean + 1e-7, mean, mean]), data)
    stalled = []
    for _ in range(5):
        fit.step()
        stalled.append(fit.stalled)
    assert stalled == [False, False, False, True, True]


def test_weights_of_the_last_epoch_are_saved_once_and_stay_when_it_is_resumed(tiny_pair):
    data = split(tiny_pair).search
    fit = fitted("i_autorec", data, steps=2)
    assert fit.best_epoch == 2
    sizes = []
    for best_epoch in (2, 1):
        fit.best_epoch, saved = best_epoch, io.BytesIO()
        torch.save(fit.state_dict(), saved)
        sizes.append(saved.tell())
        resumed = fitted("i_autorec", data, steps=0)
        saved.seek(0)
        resumed.load_state_dict(torch.load(saved, weights_only=True))
        resumed.model.train_epoch()  # moves the model's weights, and not these
        for name, weight in fit.best_weights.items():
            assert torch.equal(resumed.best_weights[name], weight)
    n_bytes = sum(weight.nbytes for weight in fit.best_weights.values())
    assert sizes[1] - sizes[0] >= n_bytes


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_non_finite_epoch_ends_with_its_reason(tiny_pair, value):
    fit = Fit(Scripted([3.0, value]), split(tiny_pair).search)
    fit.step()
    with pytest.raises(DivergedError, match=r"loss_rating_target is (nan|inf) in epoch 2"):
        fit.step()
    assert fit.best_epoch == 1


def test_cold_items_and_users_follow_the_policy():
    """User 2 and item 2 have no rating; biases are those of the two ratings of user 0 and 1."""
    users, items = np.array([0, 1], np.int32), np.array([0, 1], np.int32)
    ratings = Ratings(users, items, np.array([5, 3], np.float32), 3, 3)
    cold = ColdRule(Training(ratings, ratings))
    asked_users, asked_items = np.array([0, 0, 2, 2]), np.array([1, 2, 0, 2])
    raw = np.full(4, 9.0, np.float32)
    bias = cold.bias
    assert cold.is_cold(asked_users, asked_items).tolist() == [False, True, True, True]
    fallback = cold.apply(raw, asked_users, asked_items, "fallback")
    np.testing.assert_allclose(
        fallback, [5.0, 4.0 + bias.user[0], 4.0 + bias.item[0], 4.0], rtol=1e-6
    )
    floor = cold.apply(raw, asked_users, asked_items, "floor")
    np.testing.assert_allclose(floor, [5.0, 1.0, 4.0 + bias.item[0], 1.0], rtol=1e-6)
    hierarchical = cold.apply(raw, asked_users, asked_items)
    np.testing.assert_array_equal(hierarchical[0], 5.0)
    np.testing.assert_array_equal(
        hierarchical[1:], cold.hierarchical.predict(asked_users, asked_items)[1:]
    )
