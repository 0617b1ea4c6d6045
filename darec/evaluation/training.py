"""Train a search's winner again, as long as the search trained its trials.

Shapes: N validation ratings, M members of a stack.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from darec.core import blend
from darec.core.blend import Array, Differences
from darec.core.cold import ColdRule
from darec.core.config import parse
from darec.core.fit import trained
from darec.core.objective import Metric
from darec.core.recommender import Recommender, Run
from darec.data.ratings import FloatArray
from darec.data.split import SearchData
from darec.models import ModelKind, kind_of
from darec.models.stack import Stack, StackConfig
from darec.seeds import generator


@dataclass(frozen=True, eq=False)
class Found:
    """A model trained on one split."""

    model: Recommender
    config: Any
    """Its config; with ``epoch`` epochs it can be trained again on more ratings."""
    epoch: int
    valid_rmse: float


def train_again(
    kind: ModelKind,
    config: Any,
    max_epochs: int,
    data: SearchData,
    run: Run,
    metric: Metric = "rmse",
) -> Found:
    """Return a fresh training run of a configuration, with its best epoch's weights.

    It stops as a trial does: after the search's epoch budget, or when the validation error has
    stalled. The weights are those of the epoch with the lowest validation RMSE
    (docs/paper.md, reading 8), or another ``metric`` that the search selected by. Of a stack, all
    members are trained so, and their weights in the stack are learned from this split's validation
    ratings.
    Raises `DivergedError` when a loss or a prediction is not finite.
    """
    if isinstance(config, StackConfig):
        return _train_stack(config, data, run)
    fit = trained(kind.build(config, data.training, run), data, max_epochs, metric)
    fit.model.load_weights(fit.best_weights)
    return Found(fit.model, config, fit.best_epoch, fit.best_rmse)


def _train_stack(config: StackConfig, data: SearchData, run: Run) -> Found:
    kinds = [kind_of(member.model) for member in config.members]
    found = [
        train_again(kind, parse(kind.config, member.config), member.max_epochs, data, run)
        for kind, member in zip(kinds, config.members, strict=True)
    ]
    models, valid = [own.model for own in found], data.valid
    predictions = differences([m.predict(valid.users, valid.items) for m in models], data)
    weight_M = np.array([member.weight for member in config.members])
    added_N = predictions.member_NM @ weight_M
    if len(valid) >= blend.FEWEST and len(models) > 1:
        weight_M = blend.weights(predictions)
        added_N = blend.cross_fitted(predictions, generator(run.seed, "stack"))
    members = tuple(
        replace(member, epoch=own.epoch, weight=float(weight))
        for member, own, weight in zip(config.members, found, weight_M, strict=True)
    )
    own = StackConfig(members)
    stack = Stack(own, models, kinds, data.training)
    return Found(stack, own, 1, rmse_of(added_N, data))


def rmse_of(added_N: Array, data: SearchData) -> float:
    """Return the validation RMSE of the hierarchical biases plus what a blend adds to them.

    It is in the units of the ratings' scale, under the policy of searches.
    """
    valid, rule = data.valid, ColdRule(data.training, answered=data.answered_U)
    raw_N = rule.hierarchical.predict(valid.users, valid.items) + added_N.astype(np.float32)
    return rule.rmse(raw_N, valid)


def differences(members: list[FloatArray], data: SearchData) -> Differences:
    """Return what members predict of the validation ratings beyond the hierarchical biases.

    ``members`` are their own predictions f32[N] in stars. Where the cold policy predicts, all
    members are equal to the biases.
    """
    valid, rule = data.valid, ColdRule(data.training, answered=data.answered_U)
    bias_N = rule.hierarchical.predict(valid.users, valid.items)
    final = [rule.unclipped(raw, valid.users, valid.items) - bias_N for raw in members]
    member_NM = np.column_stack(final).astype(np.float64)
    return Differences(member_NM, (valid.values - bias_N).astype(np.float64))
