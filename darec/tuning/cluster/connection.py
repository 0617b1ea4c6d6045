"""Joins a Ray cluster, or starts Ray on this machine."""

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import ray
from ray.exceptions import RayError

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning.cluster.authentication import (
    MODE,
    asks_for_token,
    close_to_others,
    set_mode,
    use_token,
)
from darec.tuning.cluster.watch import Watch, watch_ray
from darec.tuning.private import on_loopback, resolved

HOST = r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]"
"""A host's name or address; an IPv6 address stands in brackets."""
LONGEST = 60
"""Most characters of a wrong address that a message shows."""
FOLDER, LONG_PATH = "RAY_TMPDIR", "AF_UNIX path length"
"""The variable that names the folder of Ray's own files, and the words of Ray where its path is too
long."""
OPEN = (
    "the cluster at %s asks for no token: whoever reaches it can run code in it, and change results"
)


class _Shared:
    """The connection that blocks of `connected` share; none while ``users`` is 0."""

    lock = threading.Lock()
    users = 0
    address: str | None = None
    """The address that was joined; None: Ray was started on this machine."""
    mode: str | None = None
    """RAY_AUTH_MODE before the connection."""
    watch: Watch


def connect(address: str | None, cpus: int | None = None, *, insecure: bool = False) -> None:
    """Join the cluster at an address, or start Ray here.

    A Ray started here listens on 127.0.0.1 alone and asks for a token. ``cpus`` is how many CPUs
    it counts; by default those of this machine. With ``-v``, the workers' output and Ray's own
    messages are shown as well. A handler of SIGTERM that the caller has set stays.

    Raises `UserError` if the cluster cannot be joined, or asks for no token and ``insecure`` is
    not set.
    """
    verbose = LOGGER.isEnabledFor(logging.DEBUG)
    shown: dict[str, Any] = {
        "log_to_driver": verbose,
        "logging_level": "INFO" if verbose else "ERROR",
    }
    if address is None:
        use_token()
        try:
            with _sigterm_handler_kept(), on_loopback():
                ray.init(address="local", num_cpus=cpus, include_dashboard=False, **shown)
        except Exception as error:  # Ray raises a bare one when a process of its own is too slow
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            remedy = "the machine may be too busy, or Ray's folder full (/tmp/ray): run it again"
            if LONG_PATH in reason:
                message = f"its folder's path is too long for sockets: {reason.rpartition(': ')[2]}"
                reason, remedy = (
                    message,
                    f"set {FOLDER} to a short folder, {FOLDER}=/tmp for example",
                )
            raise UserError(f"Ray could not be started here: {reason}; {remedy}") from error
    else:
        check_address(address)
        try:
            target, place = _located(address)
            with _sigterm_handler_kept(), place:
                _choose_mode(address, target, insecure)
                ray.init(address=target, **shown)
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            message = f"--address {address}: no Ray cluster can be joined: {reason}"
            raise UserError(message) from error
    LOGGER.debug("connected to Ray at %s: %s", cluster_address(), ray.cluster_resources())


def check_address(address: str) -> None:
    """Raise `UserError` unless an address can be that of a cluster's head."""
    host, _, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
    if address != "auto" and not (re.fullmatch(HOST, host) and is_port):
        rule = "must be auto, or HOST:PORT of the cluster's head, as in 10.0.0.1:6379"
        client = "; Ray Client (ray://) is not used" if address.startswith("ray://") else ""
        raise UserError(f"--address {rule}, but got {address[:LONGEST]!r}{client}")


def _located(address: str) -> tuple[str, AbstractContextManager[None]]:
    """Return HOST:PORT of a cluster, and the context manager in which to join it.

    Ray replaces 127.0.0.1 by this machine's network address. A cluster that `connect` started does
    not listen there. So if nothing answers there, this returns 127.0.0.1.
    """
    target = resolved(address)
    host, _, port = target.rpartition(":")
    if host == ray.util.get_node_ip_address() and asks_for_token(target) is None:
        return f"127.0.0.1:{port}", on_loopback()
    return target, nullcontext()


def _choose_mode(address: str, target: str, insecure: bool) -> None:
    """Use the token with a cluster that asks for it, and with no other."""
    asks = asks_for_token(target)
    if asks is None:
        raise ConnectionError(f"no head of a cluster answers at {target}; is it started there?")
    if not asks and not insecure:
        remedy = "start it with RAY_AUTH_MODE=token (docs/security.md), or give --insecure"
        raise UserError(f"--address {address}: {OPEN % target}; {remedy}")
    if asks:
        close_to_others()
    set_mode("token" if asks else "disabled")


@contextmanager
def connected(
    address: str | None, cpus: int | None = None, *, insecure: bool = False
) -> Iterator[bool]:
    """Be connected to Ray in the block (`connect`), and yield whether the cluster existed before.

    Blocks may be nested and may run in several threads: they share one connection, which the last
    of them closes. A connection of the caller's own (``ray.init``) is used and kept; it counts as a
    cluster that existed before. Raises `UserError` when Ray is connected to another cluster than
    the one at ``address``.
    """
    with _Shared.lock:
        if not ray.is_initialized():
            _Shared.mode = os.environ.get(MODE)
            try:
                connect(address, cpus, insecure=insecure)
                _Shared.watch = watch_ray(started_here=address is None)
            except BaseException:
                if ray.is_initialized():
                    ray.shutdown()
                set_mode(_Shared.mode)
                raise
            _Shared.users, _Shared.address = 1, address
            shared = True
        else:
            shared = _Shared.users > 0
            if shared and address not in (None, _Shared.address):
                place = _Shared.address or "this machine"
                raise UserError(f"--address {address}: Ray is already connected to {place}")
            _Shared.users += shared
            if not shared and not insecure:
                _warn_if_open(cluster_address())
        joined = _Shared.address is not None if shared else True
    try:
        yield joined
    finally:
        if shared:
            with _Shared.lock:
                _Shared.users -= 1
                if not _Shared.users:
                    _Shared.watch.end()
                    ray.shutdown()  # a cluster that was joined goes on without this driver
                    set_mode(_Shared.mode)


@cache
def _warn_if_open(target: str) -> None:
    """Warn, once, of a caller's own cluster that asks for no token."""
    if asks_for_token(target) is False:
        LOGGER.warning(OPEN, target)


@contextmanager
def _sigterm_handler_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back that ``ray.init`` replaces; only the main thread may.

    Ray's own handler raises ``SystemExit``, which becomes an interruption.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and before not in (None, signal.SIG_DFL):
            signal.signal(signal.SIGTERM, before)


def stays_connected() -> bool:
    """Return whether Ray stays connected after the current `connected` block.

    It does if another block shares the connection, or if the caller made it before.
    """
    return _Shared.users != 1


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
