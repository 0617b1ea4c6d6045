"""What a trial takes of a GPU: its largest configuration trained on one, before a search."""

import time
from dataclasses import dataclass
from typing import Any

import ray
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.exceptions import GetTimeoutError, RayError

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.core.replay import WARM_UP
from darec.data.split import SearchData
from darec.models import MODELS
from darec.tuning.names import nest
from darec.tuning.preflight import last_line
from darec.tuning.stages import Request, SearchSpace

EPOCHS = WARM_UP + 1
"""So many that also a model of one batch an epoch has captured its step as a graph."""
ENOUGH_S = 20.0
"""An epoch that takes so long has many batches."""
WAIT_S = 300.0
"""How long a GPU may take to become free, and the measurement."""


class UnknownError(Exception):
    """The memory could not be measured; says why."""


@dataclass(frozen=True)
class Memory:
    """What a process that trains one trial takes of a GPU, in bytes."""

    trial: int
    """At most, its CUDA context and kernels included; all of it where the trial did not fit."""
    gpu: int


def measured(request: Request, cpus: float) -> Memory:
    """Return the most that a trial of a search takes of a GPU, tried on a whole one.

    Raises `UnknownError` when none is free, or the trial fails.
    """
    task = ray.remote(num_cpus=cpus, num_gpus=1, max_retries=1)(measure)
    asked = task.remote(request.model, largest_trial(request), request.data)
    try:
        memory: Memory = ray.get(asked, timeout=WAIT_S)
    except GetTimeoutError as error:
        ray.cancel(asked, force=True)
        raise UnknownError(f"no whole GPU was free, or done, within {WAIT_S:g} s") from error
    except RayError as error:
        raise UnknownError(last_line(error)) from error
    return memory


def measure(model: str, values: dict[str, Any], data: SearchData) -> Memory:
    """Train a trial, up to `EPOCHS`, on this process's GPU, and return what that took of it.

    Raises ``DivergedError``: then it has not taken all that it might.
    """
    config = parse(MODELS[model].config, values)
    try:
        fit = Fit(MODELS[model].build(config, data.training, Run(device="cuda")), data)
        begin = time.monotonic()
        for _ in range(EPOCHS):
            fit.step()
            if time.monotonic() - begin > ENOUGH_S:
                break
    except torch.OutOfMemoryError:
        _, total = torch.cuda.mem_get_info()
        return Memory(total, total)
    free, total = torch.cuda.mem_get_info()
    grown = torch.cuda.max_memory_reserved() - torch.cuda.memory_reserved()
    return Memory(total - free + grown, total)


def largest_trial(request: Request) -> dict[str, Any]:
    """Return a search's largest configuration; DARec's trains both domains' largest stage 1 first.

    It then takes more than a trial of a stage-1 study, and as much as the trial that trains a
    stage 1 for all others.
    """
    kind, values = MODELS[request.model], largest(request.space)
    if kind.stage1 is not None:
        autorec = values["autorec"] if request.stage1 is None else largest(request.stage1)
        values["autorec"] = {**autorec, "axis": kind.axis, "epochs": EPOCHS}
    return values


def largest(space: SearchSpace) -> dict[str, Any]:
    """Return the largest of all sizes, and the least of all rates and weights: it trains."""
    flat = {name: _largest(distribution) for name, distribution in space.space.items()}
    return nest({**flat, **space.fixed})


def _largest(distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        numbers = [each for each in distribution.choices if isinstance(each, int | float)]
        return max(numbers, default=distribution.choices[0])
    return distribution.low if isinstance(distribution, FloatDistribution) else distribution.high
