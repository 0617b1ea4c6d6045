"""One search at a time in one place: two would mix their trials in one folder."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from darec.errors import UserError

NAMESPACE = "darec"


class _Holder:
    """An actor whose name is taken as long as its driver lives."""


@contextmanager
def alone(folder: Path, storage: str) -> Iterator[None]:
    """Hold a study's place; raises `UserError` when another search holds it.

    A folder is locked for all processes on machines that share it; under a URI the cluster that was
    joined knows its searches. A search that is killed leaves no lock behind.
    """
    ways = "wait for it, or give another --out"
    if "://" in storage:
        holder = ray.remote(num_cpus=0)(_Holder)
        try:
            actor = holder.options(name=f"search of {storage}", namespace=NAMESPACE).remote()
        except ValueError as error:
            raise UserError(
                f"{storage}: another search of this cluster writes here; {ways}"
            ) from error
        try:
            yield
        finally:
            ray.kill(actor)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise UserError(
                f"{folder}: another search writes here ({lock.read()}); {ways}"
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
