"""One search at a time in one place: two would mix their trials in one folder."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darec.errors import UserError

NAMESPACE = "darec"


class _Holder:
    """An actor whose name is taken as long as its driver lives."""


WAYS = "wait for it, or give another --out"


def alone(folder: Path, storage: str) -> AbstractContextManager[None]:
    """Hold a study's place; raises `UserError` when another search holds it.

    A folder is locked for all processes on machines that share it; under a URI the cluster that was
    joined knows its searches. A search that is killed leaves no lock behind.
    """
    return _named(storage) if "://" in storage else _locked(folder)


@contextmanager
def _named(uri: str) -> Iterator[None]:
    here = ray.get_runtime_context().get_node_id()  # the place is held as long as the driver is
    place = NodeAffinitySchedulingStrategy(here, soft=False)
    holder = ray.remote(num_cpus=0, scheduling_strategy=place)(_Holder)
    try:
        actor = holder.options(name=f"search of {uri}", namespace=NAMESPACE).remote()
    except ValueError as error:
        raise UserError(f"{uri}: another search of this cluster writes here; {WAYS}") from error
    try:
        yield
    finally:
        ray.kill(actor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            told = f"another search writes here ({lock.read()})"
            raise UserError(f"{folder}: {told}; {WAYS}") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
