"""What a GPU is measured for: is it right, how fast are its epochs, and how many trials share it.

All functions take any device, so that they can be tried on a CPU.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch

from darec.benchmark.core import Figure, alone, bandwidth_floor, seconds, setting
from darec.benchmark.memory import MIB
from darec.benchmark.steps import middle_config, middle_fit
from darec.core.adam import Decay
from darec.core.config import parse
from darec.core.cuda_graphs import CAPTURE, Capture, CudaGraphs, Launch
from darec.core.recommender import Run
from darec.data.ratings import Axis
from darec.data.split import SearchData, Training
from darec.models import MODELS
from darec.models.autorec import AutoRec
from darec.paper import Counts
from darec.reporter import LOGGER
from darec.tuning.cluster.gpu_memory import measure
from darec.tuning.cluster.shares import memory_of

LONGEST_S = 480.0
"""No figure is begun later than this after the section has."""
AGREES = 1e-4
"""By how much predictions may differ between CUDA and the CPU after an epoch, in stars."""
LARGE = Counts(100_000, 200_000, 200_000, 3_400_000, 3_400_000)
"""The size of the large pair in docs/performance.md."""
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


def within(longest: float, parts: Mapping[str, Iterator[Figure]]) -> Iterator[Figure]:
    """Yield the figures of all parts, and begin none after so many seconds; say which are left."""
    begin, left = time.monotonic(), dict(parts)
    for name, figures in parts.items():
        for figure in figures:
            yield figure
            if time.monotonic() - begin > longest:
                told = "%g s are over: not measured, or not to the end: %s"
                LOGGER.warning(told, longest, ", ".join(left))
                return
        del left[name]


def agreement(data: SearchData, device: str) -> Iterator[Figure]:
    """Compare each model's predictions with those on the CPU, both after an epoch from one seed.

    The value is the root mean square of the differences. An RBM samples its hidden units, so that
    rounding can turn some of them over.
    """
    for model in ON_GPU:
        fits = middle_fit(model, data), middle_fit(model, data, device)
        for fit in fits:
            fit.step()
        cpu, other = (fit.model.predict(data.valid.users, data.valid.items) for fit in fits)
        gap = float(np.sqrt(np.mean(np.square(cpu - other))))
        yield Figure(f"{device}_against_cpu_{model}", gap, "stars", AGREES, AGREES / max(gap, 1e-9))


def modes(data: SearchData, device: str) -> Iterator[Figure]:
    """Time epochs whose steps run kernel by kernel, as a CUDA graph and by ``torch.compile``."""
    for model in ("i_autorec", "u_autorec", "i_darec", "u_darec"):
        eager = 0.0
        for mode in MODES:
            with steps_run_by(mode, device):
                try:
                    fit = middle_fit(model, data, device)
                    fit.model.train_epoch()  # captures or compiles
                    taken = min(seconds(fit.model.train_epoch) for _ in range(3))
                except RuntimeError as error:
                    LOGGER.warning("%s cannot run by %s: %s", model, mode, str(error)[:200])
                    continue
            eager = eager or taken
            yield Figure(f"epoch_{model}_{mode}", taken, "s", eager, eager / taken)


@contextmanager
def steps_run_by(mode: str, device: str) -> Iterator[None]:
    """Let models that are built in this block run their steps in one of the `MODES`."""
    capture = MODES[mode]
    with patch.dict(CAPTURE, {device: capture} if capture else {}, clear=True):
        yield


def floors(
    name: str, training: Training, device: str, hidden: int = 500, decay: Decay = "coupled"
) -> Iterator[Figure]:
    """Compare epochs of AutoRec with the time that their memory traffic takes at least."""
    axes: tuple[Axis, ...] = ("item", "user")
    for axis in axes:
        config = replace(setting(axis, decay), hidden=hidden)
        model = AutoRec(config, alone(training.source), Run(device=device))
        model.train_epoch()
        taken = min(seconds(model.train_epoch) for _ in range(3))
        figure = Figure(f"epoch_{name}_{axis}", taken, "s", taken, 1.0)
        yield bandwidth_floor(figure, training.source, config, device)


def memory(data: SearchData) -> Iterator[Figure]:
    """Compare the peak memory of a trial of each model with what the plan of a search expects.

    This process's CUDA context is a part of both. A ratio below 1 is a trial that takes more.
    """
    for model in ON_GPU:
        kind, values = MODELS[model], middle_config(model)
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        taken = measure(kind, values, data).trial
        planned = memory_of(kind, parse(kind.config, values), data.training)
        yield Figure(f"memory_{model}", taken / MIB, "MiB", planned / MIB, planned / taken)
