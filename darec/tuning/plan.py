"""What a search will cost, before it starts: one epoch of a middling trial, timed."""

import math
import time
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from darec.core.config import parse
from darec.core.recommender import MemoryCache, Run
from darec.data.split import SearchData
from darec.errors import UserError
from darec.models import MODELS
from darec.tuning.names import nest
from darec.tuning.resources import Slots
from darec.tuning.stages import Budget, SearchSpace

EPOCH_SHARE = {"asha": 1 / 3, "hyperband": 1.0, "median": 1 / 2, "none": 1.0}
"""Share of the epoch budget that a scheduler's trials use on average; seen, not guaranteed."""
PER_STUDY_S = 6.0
"""Start and end of a study: actors, snapshots."""


@dataclass(frozen=True)
class Estimate:
    """Expected and greatest wall time of all studies, in seconds."""

    expected: float
    greatest: float


def middle(space: SearchSpace) -> dict[str, Any]:
    """Return the (geometric) middle of every range, and the last choice of every category."""
    flat = {name: _middle(distribution) for name, distribution in space.space.items()}
    return nest({**flat, **space.fixed})


def estimate(
    model: str,
    data: SearchData,
    space: SearchSpace,
    stage1: SearchSpace | None,
    budget: Budget,
    scheduler: str,
    slots: Slots,
) -> Estimate:
    """Time an epoch of each study's middling trial; `UserError` if its config breaks a rule."""
    cost = budget.trials, _epoch_seconds(model, data, space, stage1)
    studies = [cost]
    if stage1 is not None:
        name = MODELS[model].stage1
        assert name is not None
        seconds = _epoch_seconds(name, data, stage1, None)
        studies += [(budget.stage1_trials, seconds)] * 2
    greatest = sum(trials * budget.max_epochs * s / slots.concurrent for trials, s in studies)
    start = PER_STUDY_S * len(studies)
    found = Estimate(start + greatest * EPOCH_SHARE[scheduler], start + greatest)
    limit = budget.time_budget or math.inf
    return Estimate(min(limit, found.expected), min(limit, found.greatest))


def _middle(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[-1]
    low, high, log = (getattr(distribution, part) for part in ("low", "high", "log"))
    center = math.sqrt(low * high) if log else (low + high) / 2
    return type(low)(center)


def _epoch_seconds(
    model: str, data: SearchData, space: SearchSpace, stage1: SearchSpace | None
) -> float:
    values = middle(space)
    if stage1 is not None:
        values["autorec"] = {**middle(stage1), "epochs": 0}
    if "autorec" in values:
        values["autorec"]["epochs"] = 0
    kind = MODELS[model]
    try:
        config = parse(kind.config, values)
    except ValueError as error:
        raise UserError(f"--fix: {error}") from error
    built = kind.build(config, data.training, Run(cache=MemoryCache()))
    begin = time.perf_counter()
    built.train_epoch()
    return time.perf_counter() - begin
