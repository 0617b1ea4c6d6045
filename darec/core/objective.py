"""What a search selects by: an error on the validation ratings, the lower the better."""

from typing import Literal

from darec.core.cold import ColdRule
from darec.core.lists import RELEVANT, ranked_users, ranking_of_model, relevant_of
from darec.core.recommender import Recommender
from darec.data.ratings import FloatArray
from darec.data.split import SearchData
from darec.errors import UserError

Metric = Literal["rmse", "mae", "ndcg@10"]
"""RMSE (the paper's), MAE, or the NDCG of lists of ten items."""


def worst(metric: Metric, data: SearchData) -> float:
    """Return the objective of a model that diverged: none is higher."""
    return 1.0 if metric == "ndcg@10" else data.valid.scale.range


def check_metric(metric: str, data: SearchData) -> None:
    """Raise `UserError` for NDCG if no list can be judged by the validation ratings."""
    if metric == "ndcg@10" and not len(relevant_of(data.valid)):
        highest = float(data.valid.values.max())
        message = (
            f"at least {RELEVANT:g} of 5 stars, or as high on another scale, but got {highest:g}"
        )
        raise UserError(f"--metric ndcg@10: the highest validation rating must be {message}")


class Objective:
    """Judges a model by one metric on the target's validation ratings.

    Errors are in the units of the ratings' scale. NDCG, the higher the better, counts as
    1 - NDCG; its lists have items without a training rating of the user.
    """

    def __init__(self, metric: Metric, data: SearchData, rule: ColdRule) -> None:
        """``rule`` is that of the target. Raises `UserError` as `check_metric` does."""
        check_metric(metric, data)
        self._metric, self._data, self._rule = metric, data, rule
        if metric == "ndcg@10":
            self._relevant = relevant_of(data.valid)
            self._users = ranked_users(self._relevant, seed=0)

    @property
    def unit(self) -> float:
        """The length of a star in the metric's units; 1 for NDCG, which has none."""
        return 1.0 if self._metric == "ndcg@10" else self._data.valid.scale.unit

    def __call__(self, model: Recommender, raw: FloatArray, rmse: float) -> float:
        """Return the error of a model, given its predictions f32[N] of the ratings and their RMSE.

        Raises `DivergedError` when a score of an item is not finite.
        """
        if self._metric == "rmse":
            return rmse
        if self._metric == "mae":
            return self._rule.mae(raw, self._data.valid)
        seen = self._data.training.target
        lists = ranking_of_model(model, self._rule, self._users, self._relevant, seen)
        return 1.0 - lists.ndcg_at_10
