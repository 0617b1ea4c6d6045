"""Estimates what a search will cost, from one timed epoch of a typical trial."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from darec.core.cold import COLD
from darec.core.fit import Fit
from darec.core.objective import Metric
from darec.core.recommender import MemoryCache, Run, TwoStage
from darec.core.threads import torch_threads
from darec.data.sample import some_users
from darec.data.scale import in_words
from darec.data.split import SearchData
from darec.models import ModelKind, kind_of
from darec.reporter import duration, in_epochs
from darec.tuning.study.algorithms import SCHEDULERS
from darec.tuning.study.decay import FACTORS
from darec.tuning.study.flat import FEWEST
from darec.tuning.study.launch import checkpoints_of
from darec.tuning.study.rejudge import SPLITS
from darec.tuning.study.request import (
    Budget,
    Request,
    checked_config,
    middle,
    middle_trial,
)
from darec.tuning.study.results import baseline_rmses
from darec.tuning.study.sizes import is_size
from darec.tuning.study.starts import known_trials
from darec.tuning.study.study import Settings

PER_STUDY_S = 6.0
"""Seconds that a study takes for its processes and snapshots, besides its trials."""
TIMED = 200_000
"""Ratings of a domain on which an epoch is timed. Where there are more, some users have them."""
WHOLE_FIT = "  note       an epoch is a whole fit: schedulers compare fits and stop none early"

REPRODUCIBLE = "  note       reproducible: its outcome depends on --at-once, not on timing"
DECOUPLED = "  decay      decoupled, as each step of coupled decay would move all weights"
FLAT = (
    f"  note       from {FEWEST} trials on, a study ends when more trials can gain next to nothing "
    "(--stop-when-flat)"
)


@dataclass(frozen=True)
class Estimate:
    """Expected and greatest wall time of all studies, in seconds."""

    expected: float
    greatest: float
    """Both include `rejudge_s`."""
    rejudge_s: float = 0.0
    """The wall time of the second judgement (``--rejudge``)."""


def describe(request: Request, settings: Settings) -> list[str]:
    """Return the plan as lines: data, baselines, budget, resources, time, files."""
    data, budget, slots = request.data, request.budget, settings.slots
    source, target = data.training.source, data.training.target
    with torch_threads(max(1, int(slots.cpus))):
        cost = estimate(request, settings)
    to_beat, most = baseline_rmses(data), max(budget.trials, budget.stage1_trials)
    disk = checkpoints_of(request).bytes_of(slots.concurrent)
    known = known_trials(request, request.model, request.space, budget.trials)
    firsts = [f"{len(known.winners)} from earlier searches"] if known.winners else []
    firsts += ["a good guess"] if request.space.start else []
    firsts += [f"{len(known.portfolio)} of a portfolio"] if known.portfolio else []
    by_other = request.metric != "rmse"
    stage1 = f", after 2 x {budget.stage1_trials} of stage 1" if request.stage1 else ""
    lines = [
        f"Plan: {request.model} on {request.pair}, {request.holdout.in_words}, seed {request.seed}",
        f"  data       {source.n_users} users; training ratings: source {len(source)} on "
        f"{source.n_items} items, target {len(target)} on {target.n_items}; "
        f"validation {len(data.valid)}{in_words(target.scale, source.scale)}",
        f"  to beat    validation RMSE {to_beat.bias:.4f} (bias), "
        f"{to_beat.hierarchical:.4f} (hierarchical_bias), cold={COLD}",
        f"  search     {_trials(budget.trials)}{stage1}, at most {in_epochs(budget.max_epochs)} "
        f"each; {settings.sampler}, {settings.scheduler}, "
        f"{len(request.space.space)} hyper-parameters"
        f"{', first ' if firsts else ''}{', then '.join(firsts)}",
        *([WHOLE_FIT] if request.kind.whole_fit else []),
        *_judged_again(request, cost),
        *([f"  metric     {request.metric} on the validation ratings selects"] if by_other else []),
        *([FLAT] if request.stop_when_flat and most > FEWEST else []),
        *([REPRODUCIBLE] if request.reproducible else []),
        f"  resources  {_trials(slots.concurrent)} at once, each {slots.cpus:g} CPU, "
        f"{slots.gpus:g} GPU, {slots.memory / 2**30:.1f} GiB",
        f"  time       about {duration(cost.expected)}, at most {duration(cost.greatest)}"
        f"{' on CPUs' if slots.gpus else ''}",
        *_narrowed(request),
        f"  disk       checkpoints of {_mib(disk)} while it runs",
        f"  files      {request.storage}",
    ]
    if settings.sampler in ("gp", "tpe") and slots.concurrent > max(2, budget.trials // 4):
        lines.append(
            "  note       with this many trials at once, the sampler has few results to learn from"
        )
    return lines


def estimate(request: Request, settings: Settings) -> Estimate:
    """Estimate the time of all studies from one epoch of each study's typical trial.

    On a large pair an epoch on some users is timed. It is taken to grow with the ratings, so that
    the estimate is rough.
    Raises `UserError` when a hyper-parameter that is held fixed breaks a rule of the model.
    """
    data, sampled = request.data, 1.0
    if request.metric != "ndcg@10":  # ranking takes as long on a sample
        data, sampled = some_users(request.data, TIMED)
    request = replace(request, data=data)
    budget, first = request.budget, request.kind.stage1
    metric = request.metric
    seconds = _trial_seconds(request.kind, request.data, middle_trial(request), budget, metric)
    if first is not None and request.stage1 is None:
        epochs = middle(request.space)[first.field][first.epochs]
        seconds += epochs * _first_stage_seconds(request)
    studies = [(budget.trials, seconds)]
    if first is not None and request.stage1 is not None:
        seconds = _trial_seconds(
            kind_of(first.model), request.stage1_data, middle(request.stage1), budget, metric
        )
        studies += [(budget.stage1_trials, seconds)] * 2
    studies = [(trials, seconds / sampled) for trials, seconds in studies]
    greatest = sum(trials * seconds / settings.slots.concurrent for trials, seconds in studies)
    start = PER_STUDY_S * len(studies)
    limit = budget.time_budget or math.inf
    share = SCHEDULERS[settings.scheduler].share_of(budget.max_epochs)
    n_judged = min(request.rejudge, budget.trials) if request.space.space else 0
    in_turn = math.ceil(n_judged * SPLITS / settings.slots.concurrent) if n_judged > 1 else 0
    rejudge_s = in_turn * studies[0][1]
    if in_turn and len(studies) > 1:  # on each division, both first stages are trained again
        rejudge_s += math.ceil(SPLITS / settings.slots.concurrent) * 2 * studies[1][1]
    expected, most = (min(limit, start + of * greatest) for of in (share, 1.0))
    return Estimate(expected + rejudge_s, most + rejudge_s, rejudge_s)


def _judged_again(request: Request, cost: Estimate) -> Iterator[str]:
    """Yield what ``--rejudge`` does and costs, if it was asked for."""
    if cost.rejudge_s:
        yield (
            f"  winner     of the best {request.rejudge}, each trained again on {SPLITS} other "
            f"divisions: about {duration(cost.rejudge_s)}, included in the time below"
        )


def _narrowed(request: Request) -> Iterator[str]:
    """Yield what ends ranges early: the machine, and decoupled decay."""
    of_decay, sizes = (
        ", ".join(f"{n} <= {end:g}" for n, end in request.narrowed.items() if is_size(n) == size)
        for size in (False, True)
    )
    if sizes:
        yield f"  sizes      {sizes}, for the memory and the disk; choose others with --fix"
    if "decoupled" in (request.space.fixed.get(name) for name in FACTORS):
        yield f"{DECOUPLED}{f'; {of_decay}' if of_decay else ''}"


def _trial_seconds(
    kind: ModelKind, data: SearchData, values: dict[str, Any], budget: Budget, metric: Metric
) -> float:
    """Return the seconds of a trial of all epochs on this CPU, without its first stage."""
    config, begin = checked_config(kind, values), time.perf_counter()
    fit = Fit(kind.build(config, data.training, Run(cache=MemoryCache())), data, metric)
    built = time.perf_counter() - begin
    if not kind.whole_fit:
        fit.step()  # loads compiled code
    begin = time.perf_counter()
    fit.step()
    return built + budget.max_epochs * (time.perf_counter() - begin)


def _first_stage_seconds(request: Request) -> float:
    """Return the seconds of one epoch of both domains' first stages."""
    config = checked_config(request.kind, middle_trial(request))
    model = request.kind.build(config, request.data.training, Run(cache=MemoryCache()))
    assert isinstance(model, TwoStage)
    for first_stage in model.stage1.values():
        first_stage.train_epoch()  # loads compiled code
    begin = time.perf_counter()
    for first_stage in model.stage1.values():
        first_stage.train_epoch()
    return time.perf_counter() - begin


def _trials(n: int) -> str:
    return "1 trial" if n == 1 else f"{n} trials"


def _mib(n_bytes: float) -> str:
    return "less than 1 MiB" if n_bytes < 2**20 else f"at most {n_bytes / 2**20:.0f} MiB"
