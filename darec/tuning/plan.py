"""What a search will cost, before it starts: one epoch of a middling trial, timed."""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import MemoryCache, Run, TwoStage
from darec.data.split import SearchData
from darec.errors import UserError
from darec.models import MODELS
from darec.tuning.names import nest
from darec.tuning.search import Settings
from darec.tuning.stages import Budget, Request, SearchSpace, bias_rmse

EPOCH_SHARE = {"asha": 1 / 4, "hyperband": 1.0, "median": 1 / 2, "none": 1.0}
"""Share of the epoch budget that a scheduler's trials use on average; seen, not guaranteed."""
PER_STUDY_S = 6.0
"""Start and end of a study: actors, snapshots."""


WHOLE_FIT = "  note       an epoch is a whole fit: schedulers compare fits and stop none early"


@dataclass(frozen=True)
class Estimate:
    """Expected and greatest wall time of all studies, in seconds."""

    expected: float
    greatest: float


def describe(request: Request, settings: Settings) -> list[str]:
    """Return the plan as lines: data, what is to be beaten, budget, resources, time, files."""
    data, budget, slots = request.data, request.budget, settings.slots
    source, target = data.training.source, data.training.target
    cost = estimate(request, settings)
    stage1 = f", after 2 x {budget.stage1_trials} of stage 1" if request.stage1 else ""
    lines = [
        f"{request.model} on {request.pair}, {request.train} % training, seed {request.seed}",
        f"  data       {source.n_users} users; training ratings: source {len(source)} on "
        f"{source.n_items} items, target {len(target)} on {target.n_items}; "
        f"validation {len(data.valid)}",
        f"  bias       validation RMSE {bias_rmse(data):.4f} (cold=fallback), to be beaten",
        f"  search     {budget.trials} trials{stage1}, <= {budget.max_epochs} epochs each; "
        f"{settings.sampler}, {settings.scheduler}, {len(request.space.space)} hyper-parameters"
        f"{', first a good guess' if request.space.start else ''}",
        *([WHOLE_FIT] if MODELS[request.model].whole_fit else []),
        f"  resources  {slots.concurrent} trials at once, each {slots.cpus:g} CPU, "
        f"{slots.gpus:g} GPU",
        f"  time       about {_duration(cost.expected)}, at most {_duration(cost.greatest)}"
        f"{' on CPUs' if slots.gpus else ''}",
        f"  files      {request.storage}",
    ]
    if settings.sampler == "tpe" and slots.concurrent > max(2, budget.trials // 4):
        lines.append("  note       so many trials at once leave TPE little to learn from")
    return lines


def middle(space: SearchSpace) -> dict[str, Any]:
    """Return the (geometric) middle of every range, and the middle choice of every category."""
    flat = {name: _middle(distribution) for name, distribution in space.space.items()}
    return nest({**flat, **space.fixed})


def estimate(request: Request, settings: Settings) -> Estimate:
    """Time an epoch of each study's middling trial; `UserError` if its config breaks a rule."""
    budget, name, data = request.budget, MODELS[request.model].stage1, request.data
    torch.set_num_threads(max(1, int(settings.slots.cpus)))
    studies = [(budget.trials, _trial_seconds(request.model, data, request.space, budget))]
    if request.stage1 is not None and name is not None:
        studies += [(budget.stage1_trials, _trial_seconds(name, data, request.stage1, budget))] * 2
    concurrent = settings.slots.concurrent
    greatest = sum(trials * seconds / concurrent for trials, seconds in studies)
    start = PER_STUDY_S * len(studies)
    limit = budget.time_budget or math.inf
    share = EPOCH_SHARE[settings.scheduler] if budget.max_epochs > 1 else 1.0
    return Estimate(min(limit, start + greatest * share), min(limit, start + greatest))


def _trial_seconds(model: str, data: SearchData, space: SearchSpace, budget: Budget) -> float:
    """Return the seconds of a middling trial of all epochs, on this CPU."""
    kind, values = MODELS[model], middle(space)
    searched = values.get("autorec", {}).get("epochs")
    if kind.stage1:  # shared by all trials, but under joint search
        axis = {"axis": kind.axis, "epochs": 0}
        values["autorec"] = {**values.get("autorec", {}), **axis}
    try:
        config = parse(kind.config, values)
    except ValueError as error:
        raise UserError(f"--fix: {error}") from error
    fit = Fit(kind.build(config, data.training, Run(cache=MemoryCache())), data)
    if not kind.whole_fit:
        fit.step()  # the first one loads compiled code
    begin = time.perf_counter()
    fit.step()
    seconds = budget.max_epochs * (time.perf_counter() - begin)
    if searched and isinstance(fit.model, TwoStage):
        begin = time.perf_counter()
        for autorec in fit.model.stage1.values():
            autorec.train_epoch()
        seconds += searched * (time.perf_counter() - begin)
    return seconds


def _middle(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[len(distribution.choices) // 2]
    low, high, log = (getattr(distribution, part) for part in ("low", "high", "log"))
    center = math.sqrt(low * high) if log else (low + high) / 2
    return type(low)(center)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
