"""Cluster preflight: what is there, what a trial needs, how many run side by side, a clear no."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from optuna.distributions import BaseDistribution
from ray.exceptions import RayError

from darec.data.split import Training
from darec.errors import UserError
from darec.tuning.preflight import growth

MOST_TRIALS_PER_GPU = 8
ASSUMED_GPU_BYTES = 16 * 2**30
"""Memory taken for granted of a GPU that this process cannot see."""
COPIES = 6
"""Weights, gradient, two Adam moments, the best epoch's weights and one temporary."""
ROOM = 1.1
"""Memory kept for a trial, as a multiple of what it is thought to take."""
TRIALS_PER_SLOT = 10
"""Trials for each of those at once where it is not known how far a cluster grows: more at once
leave a sampler little to learn from."""
CHECKPOINTS = 3
"""Kept of a trial. As many since Tune's last snapshot force the next one, which costs as much as
all trials so far: with two, the one at a trial's end often would."""
PROCESS_BYTES = 512 * 2**20
"""Python, torch and compiled code."""


@dataclass(frozen=True)
class Slots:
    """What one trial gets, and how many trials run at once."""

    cpus: float
    gpus: float
    concurrent: int


def connect(address: str | None) -> None:
    """Join a cluster, or start Ray on this machine; raises `UserError` when it cannot be joined."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        ray.init(address="local", include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--address {address}: no Ray cluster can be joined: {reason}") from error


@contextmanager
def connected(address: str | None) -> Iterator[tuple[str, float]]:
    """Join or start a cluster, give its address and its CPUs, and leave it."""
    connect(address)
    try:
        yield ray.get_runtime_context().gcs_address, ray.cluster_resources().get("CPU", 0.0)
    finally:
        ray.shutdown()


def slots(
    cpus: float,
    gpus: float | None,
    trials: int,
    trial_bytes: int,
    joined: bool,
    options: tuple[str, str] = ("--cpus-per-trial", "--gpus-per-trial"),
) -> Slots:
    """Return a trial's share and the number of concurrent trials; ``gpus=None`` decides itself.

    With GPUs in the cluster, a trial then gets the fraction of one that its memory needs. Raises
    `UserError` when no node can give the share, which ``options`` ask for: none of today's, nor,
    where a cluster was ``joined``, any that its autoscaler may add.
    """
    present = [(1, node["Resources"]) for node in ray.nodes() if node["Alive"]]
    more = growth() if joined else []
    nodes = present + [(_still(kind, count, present), kind) for count, kind in more or []]
    if gpus is None:
        has_gpus = any(node.get("GPU") for _, node in nodes)
        gpus = gpu_share(trial_bytes, _gpu_bytes()) if has_gpus else 0.0
    for kind, asked, option in zip(("CPU", "GPU"), (cpus, gpus), options, strict=True):
        largest = max(node.get(kind, 0.0) for _, node in nodes)
        if asked > largest and more is not None:
            rule = f"must fit on one node (the largest has {largest:g})"
            raise UserError(f"{option} {rule}, but got {asked:g}")
    fit = sum(count * _fit(node, cpus, gpus) for count, node in nodes)
    if not fit and more is not None:
        raise UserError(f"no node has both {cpus:g} CPUs and {gpus:g} GPUs for a trial")
    return Slots(cpus, gpus, max(1, min(trials, fit or trials // TRIALS_PER_SLOT)))


def _still(
    kind: Mapping[str, float], most: int, present: list[tuple[int, Mapping[str, float]]]
) -> int:
    """Return how many nodes of a kind may still come, beside those that are there."""
    names = ("CPU", "GPU")
    there = sum(all(node.get(n, 0) == kind.get(n, 0) for n in names) for _, node in present)
    return max(0, most - there)


def _fit(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Return how many trials of this share a node holds."""
    shares = [
        node.get(kind, 0.0) / asked for kind, asked in (("CPU", cpus), ("GPU", gpus)) if asked
    ]
    return int(min(shares) + 1e-6)


def gpu_share(trial_bytes: int, gpu_bytes: int) -> float:
    """Return a trial's share of a GPU so that the memory of all fits, with `ROOM`.

    In ten-thousandths, which Ray rounds to: six trials of 0.1667 would not fit.
    """
    trials = max(1, min(MOST_TRIALS_PER_GPU, int(gpu_bytes / (ROOM * max(1, trial_bytes)))))
    return math.floor(1e4 / trials) / 1e4


def trial_bytes(weight_bytes: int, training: Training) -> int:
    """Return an upper bound of a trial's memory, from that of its weights."""
    ratings = 16 * (len(training.source) + len(training.target))
    return COPIES * weight_bytes + ratings + PROCESS_BYTES


def checkpoint_bytes(weight_bytes: int) -> int:
    """Return what a trial's checkpoints take: weights, two moments and the best epoch's in each."""
    return CHECKPOINTS * 4 * weight_bytes


def weight_bytes(
    space: Mapping[str, BaseDistribution],
    fixed: Mapping[str, Any],
    training: Training,
    per_unit: int = 2,
) -> int:
    """Return an upper bound of a model's weights and embeddings: the space's largest.

    ``per_unit`` is `darec.models.ModelKind.per_unit`.
    """

    def largest(name: str, default: float) -> float:
        if name in fixed:
            return float(fixed[name])
        distribution: Any = space.get(name)
        if distribution is None:
            return default
        if hasattr(distribution, "choices"):
            return max(float(choice) for choice in distribution.choices)
        return float(distribution.high)

    columns = max(training.source.n_items, training.target.n_items, training.source.n_users)
    hidden = largest("autorec/hidden", largest("hidden", 0.0))
    autorec = per_unit * columns * hidden
    predictor = largest("extractor", 0.0) * max(1.0, largest("pyramid", 1.0)) ** 2
    stage2 = 2 * columns * (predictor + (hidden if predictor else 0.0))
    return int(4 * (autorec + stage2))


def _gpu_bytes() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return ASSUMED_GPU_BYTES
