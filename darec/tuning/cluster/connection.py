"""Joins a Ray cluster, or starts Ray on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import ray
from ray.exceptions import RayError

from darec.errors import UserError
from darec.reporter import LOGGER


def connect(address: str | None, cpus: int | None = None) -> None:
    """Join the cluster at an address, or start Ray here; raises `UserError` if it cannot be joined.

    ``cpus`` is how many CPUs a Ray started here counts; by default those of this machine. With
    ``-v``, the workers' output and Ray's own messages are shown as well.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    verbose = LOGGER.isEnabledFor(logging.DEBUG)
    shown: dict[str, Any] = {
        "log_to_driver": verbose,
        "logging_level": "INFO" if verbose else "ERROR",
    }
    if address is None:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **shown)
        return
    try:
        ray.init(address=address, **shown)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--address {address}: no Ray cluster can be joined: {reason}") from error


@contextmanager
def connected(address: str | None, cpus: int | None = None) -> Iterator[None]:
    """Connect to Ray for the block. A connection that exists already is used and kept."""
    if ray.is_initialized():
        yield
        return
    connect(address, cpus)
    try:
        yield
    finally:
        ray.shutdown()  # a cluster that was joined keeps running


def cluster_address() -> str:
    """Return the address under which other processes join the cluster of this one."""
    address: str = ray.get_runtime_context().gcs_address
    return address


def cluster_cpus() -> float:
    """Return how many CPUs all present nodes have together."""
    cpus: float = ray.cluster_resources().get("CPU", 0.0)
    return cpus


def local_cpus() -> int:
    """Return how many CPUs this machine has."""
    return os.cpu_count() or 1
