"""The CPUs and GPUs of one trial, and the number of trials that run at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
import torch

from darec.data.split import Training
from darec.errors import UserError
from darec.models import ModelKind
from darec.reporter import LOGGER
from darec.tuning.cluster.preflight import growth

MOST_TRIALS_PER_GPU = 8
ASSUMED_GPU_BYTES = 16 * 2**30
"""The memory that a GPU is assumed to have if this process sees no GPU."""
COPIES = 6
"""Weights, gradient, two Adam moments, the best epoch's weights and one temporary."""
MARGIN = 1.1
"""Memory that is kept for a trial, as a multiple of what it is expected to take."""
TRIALS_PER_PLACE = 10
"""If no node has room yet and the autoscaler's limits are unknown, one in this many trials runs at
once. With more at once, the sampler would learn little."""
CHECKPOINTS = 3
"""Checkpoints kept of each trial. Tune forces a snapshot once a trial has written this many since
the last one, and a snapshot costs more the more trials there are. With two, the checkpoint at a
trial's end would often force one."""
PROCESS_BYTES = 512 * 2**20
"""Memory of Python, torch and compiled code in one process."""
WEIGHT_BYTES = 4
LARGEST_CHECKPOINTS = 2.5 * 2**30
"""Bytes that the checkpoints of a trial may take on large pairs; sizes end where they take more."""


@dataclass(frozen=True)
class Wanted:
    """The resources that the user asked for."""

    cpus: float = 1.0
    gpus: float | None = None
    """GPUs of a trial. None: as much as its memory needs, if there are GPUs."""
    at_once: int | None = None
    """Most trials at once; None: as many as there is room for."""
    joined: bool = False
    """Whether the cluster existed before: it may have several nodes, and an autoscaler."""


@dataclass(frozen=True)
class Slots:
    """The resources of one trial, and the number of trials that run at once."""

    cpus: float
    gpus: float
    concurrent: int
    memory: int = 0
    """Bytes of a node's main memory; 0: not counted."""


def slots(
    wanted: Wanted,
    trials: int,
    trial_bytes: int,
    options: tuple[str, str] = ("--cpus-per-trial", "--gpus-per-trial"),
) -> Slots:
    """Return a trial's share and the number of trials at once.

    If there are GPUs and no share of them is asked for, a trial gets the fraction that its memory
    needs. Raises `UserError`, naming one of the ``options``, when no node can give the share:
    neither a present node nor one that the autoscaler of a joined cluster may add. ``trial_bytes``
    is an upper bound: a trial that may need more memory than any node has gets all of a node's.
    """
    present = [(1, node["Resources"]) for node in ray.nodes() if node["Alive"]]
    more = growth() if wanted.joined else []
    nodes = present + [(_missing(kind, most, present), kind) for most, kind in more or []]
    cpus, gpus = wanted.cpus, wanted.gpus
    if gpus is None:
        has_gpus = any(node.get("GPU") for _, node in nodes)
        gpus = gpu_share(trial_bytes, _gpu_bytes()) if has_gpus else 0.0
    for kind, asked, option in zip(("CPU", "GPU"), (cpus, gpus), options, strict=True):
        largest = max(node.get(kind, 0.0) for _, node in nodes)
        if asked > largest and more is not None:
            rule = f"must fit on one node (the largest has {largest:g})"
            raise UserError(f"{option} {rule}, but got {asked:g}")
    able = [node for count, node in nodes if count and _trials_on(node, cpus, gpus, 0)]
    most = max((node.get("memory", math.inf) for node in able), default=math.inf)
    if trial_bytes > most:
        message = (
            "a trial may need %.1f GiB of memory, but the largest node has %.1f GiB for trials"
        )
        LOGGER.warning(f"{message}; --fix narrows the space", trial_bytes / 2**30, most / 2**30)
    memory = int(min(trial_bytes, most))
    room = sum(count * _trials_on(node, cpus, gpus, memory) for count, node in nodes)
    if not room and more is not None:
        raise UserError(f"no node has both {cpus:g} CPUs and {gpus:g} GPUs for a trial")
    concurrent = max(1, min(trials, room or trials // TRIALS_PER_PLACE))
    return Slots(cpus, gpus, min(concurrent, wanted.at_once or concurrent), memory)


def _missing(
    kind: Mapping[str, float], most: int, present: list[tuple[int, Mapping[str, float]]]
) -> int:
    """Return how many nodes of a kind may still come besides those that are up."""
    names = ("CPU", "GPU")
    up = sum(all(node.get(n, 0) == kind.get(n, 0) for n in names) for _, node in present)
    return max(0, most - up)


def _trials_on(node: Mapping[str, float], cpus: float, gpus: float, memory: int) -> int:
    """Return how many trials of this share a node holds."""
    needs = {"CPU": cpus, "GPU": gpus, "memory": memory}
    has = {"memory": math.inf, **node}  # a node type of the autoscaler may not say its memory
    shares = [has.get(kind, 0.0) / asked for kind, asked in needs.items() if asked]
    return int(min(shares) + 1e-6)


def gpu_share(trial_bytes: int, gpu_bytes: int) -> float:
    """Return a trial's share of a GPU so that the memory of all trials on it fits.

    Shares are rounded down to ten-thousandths as in Ray: six trials of 0.1667 would not fit.
    """
    trials = int(gpu_bytes / (MARGIN * max(1, trial_bytes)))
    return math.floor(1e4 / max(1, min(MOST_TRIALS_PER_GPU, trials))) / 1e4


def memory_of(kind: ModelKind, config: Any, training: Training) -> int:
    """Return an upper bound of the bytes of memory that a trial of a model takes."""
    ratings = 16 * (len(training.source) + len(training.target))
    numbers = COPIES * kind.n_weights(config, training) + kind.n_temporary(config, training)
    return WEIGHT_BYTES * numbers + ratings + PROCESS_BYTES


def node_memory(wanted: Wanted) -> float:
    """Return the bytes of memory that the largest node has for trials; inf if that is unknown."""
    present = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    to_come = [kind for _, kind in (growth() if wanted.joined else []) or []]
    return max(float(node.get("memory", math.inf)) for node in (*present, *to_come))


@dataclass(frozen=True)
class Checkpoints:
    """What the checkpoints of a running search take on disk at most.

    Each running trial has ``number`` checkpoints of ``n_bytes``. ``kept`` of the best ended trials
    keep their last checkpoint. For each trial that may run at once, ``trials`` trials have
    checkpoints: the running one, and one that ended after the last snapshot, which a resumed search
    may need. A reproducible search has paused trials as well.
    """

    n_bytes: int
    number: int
    kept: int
    trials: int = 2

    @property
    def of_trial(self) -> int:
        """The bytes of one running trial."""
        return self.number * self.n_bytes

    def bytes_of(self, at_once: int) -> int:
        """Return the bytes of a search that runs so many trials at once."""
        return self.trials * at_once * self.of_trial + self.kept * self.n_bytes

    def at_once(self, free: float) -> int:
        """Return for how many trials at once this many bytes have room; at least one."""
        room = (free - self.kept * self.n_bytes) / max(1, self.trials * self.of_trial)
        return max(1, int(min(room, 2**31)))


def checkpoints(n_weights: int, kept: int, whole_fit: bool, paused: int = 0) -> Checkpoints:
    """Return what a model's checkpoints take; ``paused`` is per trial that may run at once.

    Each holds the weights, two Adam moments and the best epoch's weights. A model whose one epoch
    is a whole fit has one checkpoint, without moments.
    """
    copies, number = (2, 1) if whole_fit else (4, CHECKPOINTS)
    return Checkpoints(copies * WEIGHT_BYTES * n_weights, number, kept, 2 + paused)


def _gpu_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return ASSUMED_GPU_BYTES
