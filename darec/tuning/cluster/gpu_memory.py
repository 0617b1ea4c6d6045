"""Measures the GPU memory of the largest trial, by training it before a search starts."""

import time
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import GetTimeoutError, RayError

from darec.core.config import parse
from darec.core.cuda_graphs import WARM_UP
from darec.core.fit import Fit
from darec.core.objective import Metric
from darec.core.recommender import Run
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.tuning.cluster.preflight import why
from darec.tuning.failures import GPU_OUT_OF_MEMORY

EPOCHS = WARM_UP + 1
"""After this many epochs, even a model with one mini-batch per epoch has captured its graph."""
LONG_EPOCH_S = 20.0
"""After this many seconds no further epoch is trained: long epochs have many mini-batches."""
WAIT_S = 300.0
"""How long to wait for a free GPU and for the measurement."""


class UnknownMemoryError(Exception):
    """The memory could not be measured; the message says why."""


@dataclass(frozen=True)
class Memory:
    """GPU memory in bytes."""

    trial: int
    """The peak of one trial's process, its CUDA context and kernels included. If the trial did not
    fit, all of the GPU's memory."""
    gpu: int
    """All of the GPU's memory."""


def measured(
    kind: ModelKind, config: dict[str, Any], data: SearchData, cpus: float, metric: Metric
) -> Memory:
    """Return the peak memory of a trial, measured by a task on a whole GPU of the cluster.

    Raises `UnknownMemoryError` when no GPU is free, or the trial fails.
    """
    task = ray.remote(num_cpus=cpus, num_gpus=1, max_retries=1)(measure)
    answer = task.remote(kind, config, data, metric)
    try:
        memory: Memory = ray.get(answer, timeout=WAIT_S)
    except GetTimeoutError as error:
        ray.cancel(answer, force=True)
        reason = f"no whole GPU was free, or the measurement did not end, within {WAIT_S:g} s"
        raise UnknownMemoryError(reason) from error
    except RayError as error:
        raise UnknownMemoryError(why(error)) from error
    return memory


def measure(
    kind: ModelKind, config: dict[str, Any], data: SearchData, metric: Metric = "rmse"
) -> Memory:
    """Train a trial for up to `EPOCHS` epochs on this process's GPU and return its peak memory.

    Raises ``DivergedError``: a trial that diverged may not have reached its peak.
    """
    try:
        model = kind.build(parse(kind.config, config), data.training, Run(device="cuda"))
        fit, begin = Fit(model, data, metric), time.monotonic()
        for _ in range(EPOCHS):
            fit.step()
            if time.monotonic() - begin > LONG_EPOCH_S:
                break
    except RuntimeError as error:  # torch.OutOfMemoryError is one, and so is what cuBLAS says
        if not GPU_OUT_OF_MEMORY.search(str(error)):
            raise
        _, total = torch.cuda.mem_get_info()
        return Memory(total, total)
    free, total = torch.cuda.mem_get_info()
    grown = torch.cuda.max_memory_reserved() - torch.cuda.memory_reserved()
    return Memory(total - free + grown, total)
