"""What a search selects by: each metric by itself, and the epoch that it calls best."""

from dataclasses import replace

import numpy as np
import pytest

from darec.core.cold import ColdRule
from darec.core.fit import Fit
from darec.core.lists import ranked_users, ranking, relevant_of
from darec.core.objective import Objective, check_metric, worst
from darec.data.ratings import Ratings
from darec.data.scale import Scale
from darec.data.split import SearchData, Training, split
from darec.errors import UserError
from tests.core.test_fit import Scripted

GIVEN = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 0, 1, 0, 1], np.int32)


def given(values):
    """Data of three users and two items, whose validation ratings are the training ratings."""
    ratings = Ratings(*GIVEN, np.array(values, np.float32), 3, 2)
    return SearchData(Training(ratings, ratings), ratings, ratings)


def objective(metric, data):
    return Objective(metric, data, ColdRule(data.training))


def test_errors_by_hand():
    """Predictions of 3 miss 1, 2, 3, 3, 3 and 5 by 2, 1, 0, 0, 0 and 2."""
    data, raw = given([1, 2, 3, 3, 3, 5]), np.full(6, 3.0, np.float32)
    model = Scripted([])
    assert objective("mae", data)(model, raw, 1.5) == pytest.approx(5 / 6)
    assert objective("rmse", data)(model, raw, 1.5) == 1.5
    of_points = replace(data, valid=replace(data.valid, scale=Scale(0, 100)))
    assert objective("mae", of_points)(model, raw, 1.5) == pytest.approx(25 * 5 / 6)
    assert objective("mae", of_points).unit == 25 and objective("ndcg@10", of_points).unit == 1


class ByPosition:
    """A model whose raw score of an item is its position, or the reverse of it."""

    domains = ("target",)

    def __init__(self, sign):
        self.sign = sign

    def predict(self, users, items, domain="target"):
        return 3 + self.sign * items.astype(np.float32) / 1000


@pytest.mark.parametrize("sign", [1, -1])
def test_ndcg_is_that_of_lists_without_training_items(tiny_pair, sign):
    data, model = split(tiny_pair).search, ByPosition(sign)
    rule, relevant = ColdRule(data.training), relevant_of(data.valid)
    items = np.arange(data.valid.n_items, dtype=np.int32)

    def scores(users):
        raw = model.predict(users[:, None], np.broadcast_to(items, (len(users), len(items))))
        return rule.unclipped(raw, users[:, None], items)

    lists = ranking(scores, ranked_users(relevant, 0), relevant, data.training.target)
    raw = model.predict(data.valid.users, data.valid.items)
    found = objective("ndcg@10", data)(model, raw, 1.5)
    assert found == pytest.approx(1 - lists.ndcg_at_10) and 0 < found < 1


def test_the_metric_decides_the_best_epoch():
    """The mean 2.5 of the ratings has the lowest RMSE, their median 2 the lowest MAE."""
    data = given([2, 2, 2, 2, 2, 5])
    for metric, epoch in (("rmse", 1), ("mae", 2)):
        fit = Fit(Scripted([2.5, 2.0]), data, metric)
        rows = [fit.step() for _ in range(2)]
        assert fit.best_epoch == epoch
        assert fit.best_rmse == rows[epoch - 1]["valid_rmse"] == rows[-1]["best_valid_rmse"]
        assert rows[-1]["objective"] == fit.best_objective
    assert fit.best_objective == pytest.approx(0.5)


def test_by_default_the_objective_is_the_rmse():
    row = Fit(Scripted([2.5]), given([2, 2, 2, 2, 2, 5])).step()
    assert row["objective"] == row["valid_rmse"] == row["best_valid_rmse"]


def test_the_epoch_with_the_best_lists_may_have_a_higher_rmse(tiny_pair):
    """Both epochs rank by position; the second, whose lists are better, is a star lower."""

    class Turns(ByPosition):
        def __init__(self):
            self.epoch = 0

        def train_epoch(self):
            self.epoch += 1
            return {}

        def weights(self):
            return {}

        def predict(self, users, items, domain="target"):
            return (1 - self.epoch) + ByPosition(self.sign).predict(users, items)

        @property
        def sign(self):
            return signs[self.epoch - 1]

    data = split(tiny_pair).search
    judged = objective("ndcg@10", data)
    raw = np.zeros(len(data.valid), np.float32)
    signs = sorted([1, -1], key=lambda sign: -judged(ByPosition(sign), raw, 1.5))
    fit = Fit(Turns(), data, "ndcg@10")
    rows = [fit.step() for _ in range(2)]
    assert rows[1]["valid_rmse"] > rows[0]["valid_rmse"]
    assert fit.best_epoch == 2 and fit.best_rmse == rows[1]["valid_rmse"]


def test_a_fit_goes_on_with_the_objective_that_it_saved():
    data = given([2, 2, 2, 2, 2, 5])
    first = Fit(Stateful([2.0, 2.5]), data, "mae")
    first.step()
    second = Fit(Stateful([2.0, 2.5]), data, "mae")
    second.load_state_dict(first.state_dict())
    second.step()
    assert second.best_epoch == 1 and second.best_objective == pytest.approx(0.5)


class Stateful(Scripted):
    """Keeps its epoch in its state."""

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]


def test_nothing_is_worse_than_a_model_that_diverged():
    data = given([1, 1, 1, 5, 5, 5])
    raw = np.array([5, 5, 5, 1, 1, 1], np.float32)
    for metric in ("rmse", "mae", "ndcg@10"):
        assert objective(metric, data)(ByPosition(1), raw, 4.0) <= worst(metric, data)


def test_lists_need_a_high_validation_rating():
    check_metric("ndcg@10", given([1, 1, 1, 1, 1, 4]))
    check_metric("mae", given([1, 1, 1, 1, 1, 3]))
    with pytest.raises(UserError, match=r"highest validation rating must be at least 4 .* got 3"):
        check_metric("ndcg@10", given([1, 1, 1, 1, 1, 3]))
    with pytest.raises(UserError, match="highest validation rating"):
        Fit(Scripted([]), given([1, 1, 1, 1, 1, 3]), "ndcg@10")
