"""Joins a Ray cluster, or starts Ray on this machine."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from darec.errors import UserError
from darec.reporter import LOGGER


class _Shared:
    """The connection that blocks of `connected` share; none while ``users`` is 0."""

    lock = threading.Lock()
    users = 0
    address: str | None = None
    """The address that was joined; None: Ray was started on this machine."""


def connect(address: str | None, cpus: int | None = None) -> None:
    """Join the cluster at an address, or start Ray here; raises `UserError` if it cannot be joined.

    ``cpus`` is how many CPUs a Ray started here counts; by default those of this machine. With
    ``-v``, the workers' output and Ray's own messages are shown as well. A handler of SIGTERM
    that the caller has set stays.
    """
    verbose = LOGGER.isEnabledFor(logging.DEBUG)
    shown: dict[str, Any] = {
        "log_to_driver": verbose,
        "logging_level": "INFO" if verbose else "ERROR",
    }
    try:
        with _sigterm_handler_kept():
            if address is None:
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, **shown)
            else:
                ray.init(address=address, **shown)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        if address is None:
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"--address {address}: no Ray cluster can be joined: {reason}") from error
    LOGGER.debug("connected to Ray at %s: %s", cluster_address(), ray.cluster_resources())


@contextmanager
def connected(address: str | None, cpus: int | None = None) -> Iterator[bool]:
    """Be connected to Ray in the block, and yield whether the cluster existed before.

    Blocks may be nested and may run in several threads: they share one connection, which the last
    of them closes. A connection of the caller's own (``ray.init``) is used and kept; it counts as a
    cluster that existed before. Raises `UserError` when Ray is connected to another cluster than
    the one at ``address``.
    """
    with _Shared.lock:
        if not ray.is_initialized():
            connect(address, cpus)
            _Shared.users, _Shared.address = 1, address
            shared = True
        else:
            shared = _Shared.users > 0
            if shared and address not in (None, _Shared.address):
                place = _Shared.address or "this machine"
                raise UserError(f"--address {address}: Ray is already connected to {place}")
            _Shared.users += shared
        joined = _Shared.address is not None if shared else True
    try:
        yield joined
    finally:
        if shared:
            with _Shared.lock:
                _Shared.users -= 1
                if not _Shared.users:
                    ray.shutdown()  # a cluster that was joined goes on without this driver


@contextmanager
def _sigterm_handler_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back that ``ray.init`` replaces; only the main thread may."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and before not in (None, signal.SIG_DFL):
            signal.signal(signal.SIGTERM, before)


def is_callers_own() -> bool:
    """Return whether the connection was made outside `connected`, so that it goes on."""
    return _Shared.users == 0


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
