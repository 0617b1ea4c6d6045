"""What a GPU is measured for: is it right, how fast are its epochs, and how many trials share it.

Most functions take any device, so that they can be tried on a CPU.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
import torch

from darec.benchmark.core import (
    Figure,
    alone,
    autorec_epoch,
    bandwidth_floor,
    darec_epoch,
    seconds,
    setting,
)
from darec.benchmark.memory import MIB
from darec.benchmark.search import shared_gpu
from darec.benchmark.steps import middle_config, middle_fit
from darec.core.adam import Decay
from darec.core.config import parse
from darec.core.cuda_graphs import CAPTURE, Capture, CudaGraphs, Launch
from darec.core.recommender import Run
from darec.data.ratings import Axis
from darec.data.split import SearchData, split
from darec.data.synthetic import planted_pair, synthetic_pair
from darec.models import MODELS
from darec.models.autorec import AutoRec
from darec.paper import Counts
from darec.reporter import LOGGER
from darec.tuning.cluster.gpu_memory import measure
from darec.tuning.cluster.shares import memory_of

LONGEST_S = 420.0
"""No figure is begun later than this after the section has. It should end within eight minutes."""
AGREES = 1e-4
"""By how much predictions may differ between CUDA and the CPU after an epoch, in stars."""
LARGE = Counts(100_000, 200_000, 200_000, 3_400_000, 3_400_000)
"""The size of the large pair in docs/performance.md."""
STEPPED = ("i_autorec", "u_autorec", "i_darec", "u_darec")
"""The models whose steps can be captured."""
ON_GPU = tuple(name for name, kind in MODELS.items() if not kind.cpu_only)


class Compiled:
    """A `Capture` by ``torch.compile``, which makes CUDA graphs of what it compiles."""

    def eager(self, step: Launch) -> torch.Tensor:
        """Do a step kernel by kernel."""
        return step()

    def captured(self, step: Launch) -> Launch:
        """Return the step, which is compiled at its first call."""
        compiled: Launch = torch.compile(step, mode="reduce-overhead")
        return compiled


MODES: dict[str, Callable[[], Capture] | None] = {
    "eager": None,
    "graph": CudaGraphs,
    "compile": Compiled,
}
"""How the steps of an epoch may run; the first is the reference of the others."""


def within(longest: float, parts: Mapping[str, Callable[[], Iterator[Figure]]]) -> Iterator[Figure]:
    """Yield the figures of all parts, and begin none after so many seconds; say what is left out.

    A part that fails is left out, too.
    """
    begin, left_out = time.monotonic(), []
    for name, part in parts.items():
        figures = part()
        try:
            while time.monotonic() - begin <= longest:
                figure = next(figures, None)
                if figure is None:
                    break
                yield figure
            else:
                left_out.append(name)
        except Exception as error:  # whatever it is, the other parts are measured
            LOGGER.warning("%s failed: %s", name, str(error)[:200])
    if left_out:
        message = "%g s are over: not measured, or perhaps not to the end: %s"
        LOGGER.warning(message, longest, ", ".join(left_out))


def parts(quick: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return what is measured on a CUDA device, by its name and in this order."""
    toys, repeats = partial(_on, "toys_auto"), 1 if quick else 5
    on_gpu = {"device": "cuda"}
    return {
        **{f"agreement of {m}": partial(toys, agreement, m, **on_gpu) for m in ON_GPU},
        **{f"memory of {m}": partial(toys, memory, m) for m in ON_GPU},
        **{f"steps of {m}": partial(toys, modes, m, **on_gpu) for m in STEPPED},
        "epochs on toys_auto": partial(toys, floors, "toys_auto", **on_gpu),
        "epochs on office_movies": partial(_on, "office_movies", floors, "office_movies", **on_gpu),
        "epochs on a large pair": partial(
            _on, "large", floors, "large", **on_gpu, hidden=200, decay="decoupled"
        ),
        "epochs of the dense reference": partial(toys, against_dense, repeats, **on_gpu),
        "trials that share the GPU": partial(toys, sharing, 4 if quick else 32),
    }


def _on(
    pair: str, measured: Callable[..., Iterator[Figure]], *arguments: Any, **options: Any
) -> Iterator[Figure]:
    """Measure something on a generated pair, which is made when it is needed first."""
    yield from measured(*arguments, _data(pair), **options)


@cache
def _data(pair: str) -> SearchData:
    generated = planted_pair(pair, LARGE) if pair == "large" else synthetic_pair(pair)
    return split(generated).search


def agreement(model: str, data: SearchData, device: str) -> Iterator[Figure]:
    """Compare a model's predictions with those on the CPU, both after an epoch from one seed.

    The value is the root mean square of the differences. An RBM samples its hidden units, so that
    rounding can turn some of them over.
    """
    fits = middle_fit(model, data), middle_fit(model, data, device)
    for fit in fits:
        fit.step()
    cpu, other = (fit.model.predict(data.valid.users, data.valid.items) for fit in fits)
    gap = float(np.sqrt(np.mean(np.square(cpu - other))))
    yield Figure(f"{device}_against_cpu_{model}", gap, "stars", AGREES, AGREES / max(gap, 1e-9))


def modes(model: str, data: SearchData, device: str) -> Iterator[Figure]:
    """Time epochs whose steps run kernel by kernel, as a CUDA graph and by ``torch.compile``."""
    eager = 0.0
    for mode in MODES:
        with steps_run_by(mode, device):
            fit = middle_fit(model, data, device)
            fit.model.train_epoch()  # captures or compiles
            taken = min(seconds(fit.model.train_epoch) for _ in range(3))
        eager = eager or taken
        yield Figure(f"epoch_{model}_{mode}", taken, "s", eager, eager / taken)


@contextmanager
def steps_run_by(mode: str, device: str) -> Iterator[None]:
    """Let models that are built in this block run their steps in one of the `MODES`."""
    capture = MODES[mode]
    with patch.dict(CAPTURE, {device: capture} if capture else {}, clear=True):
        yield


def floors(
    name: str, data: SearchData, device: str, hidden: int = 500, decay: Decay = "coupled"
) -> Iterator[Figure]:
    """Compare epochs of AutoRec with the time that their memory traffic takes at least."""
    source = data.training.source
    for axis in get_args(Axis):
        config = replace(setting(axis, decay), hidden=hidden)
        model = AutoRec(config, alone(source), Run(device=device))
        model.train_epoch()
        taken = min(seconds(model.train_epoch) for _ in range(3))
        figure = Figure(f"epoch_{name}_{axis}", taken, "s", taken, 1.0)
        yield bandwidth_floor(figure, source, config, device)


def against_dense(repeats: int, data: SearchData, device: str) -> Iterator[Figure]:
    """Compare epochs of AutoRec and DARec with those of the dense reference."""
    for axis in get_args(Axis):
        yield autorec_epoch(data.training.source, axis, "coupled", repeats, device)
        yield darec_epoch(data.training, axis, repeats, device)


def sharing(trials: int, data: SearchData) -> Iterator[Figure]:
    """Compare trials an hour of one at a time with those of several that share a GPU of Ray's."""
    yield from shared_gpu(data, (1, 2, 4, 8), trials, 30)


def memory(model: str, data: SearchData) -> Iterator[Figure]:
    """Compare the peak memory of a trial of a model with what the plan of a search expects.

    This process's CUDA context is a part of both. A ratio below 1 is a trial that takes more.
    """
    kind, values = MODELS[model], middle_config(model)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    taken = measure(kind, values, data).trial
    planned = memory_of(kind, parse(kind.config, values), data.training)
    yield Figure(f"memory_{model}", taken / MIB, "MiB", planned / MIB, planned / taken)
