"""Allows one search at a time in one place, since two would mix their trials."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darec.errors import UserError
from darec.files import open_to_append
from darec.tuning.durability.heartbeat import beating, runs_at
from darec.tuning.durability.holder import is_gone, this_process
from darec.tuning.storage import is_uri

LOCK = ".lock"
NAMESPACE = "darec"
LONGEST = 300
"""Most characters that are shown of what the holder wrote about itself."""
GLANCE_S = 0.2
"""How long a lock is waited for. `holder_of` holds one for an instant to see whether it is free."""
REMEDY = "wait for it, or give another --out"


class _Holder:
    """An actor that holds a name in the cluster for as long as its driver lives."""


def alone(folder: Path, place: str) -> AbstractContextManager[None]:
    """Hold a study's place; raises `UserError` when another search holds it.

    A folder is locked for all processes on all machines that share it. A URI is locked for all
    searches of the cluster, and shows other clusters that it is in use (`heartbeat`). A search that
    is killed leaves no lock behind; at a URI, another machine waits for `heartbeat.ALIVE_S`.
    """
    return _name_taken(place, folder) if is_uri(place) else folder_locked(folder)


@contextmanager
def _name_taken(uri: str, folder: Path) -> Iterator[None]:
    if other := runs_at(uri):
        raise UserError(f"{uri}: another search writes here ({other}); {REMEDY}")
    here = ray.get_runtime_context().get_node_id()  # the actor must not outlive the driver's node
    affinity = NodeAffinitySchedulingStrategy(here, soft=False)
    holder = ray.remote(num_cpus=0, scheduling_strategy=affinity)(_Holder)
    try:
        actor = holder.options(name=f"search of {uri}", namespace=NAMESPACE).remote()
    except ValueError as error:
        raise UserError(f"{uri}: another search of this cluster writes here; {REMEDY}") from error
    try:
        with beating(folder, uri):
            yield
    finally:
        ray.kill(actor)


def searching(place: str) -> str | None:
    """Return which process searches in a folder or at a URI; None if none does.

    Raises `UserError` when a URI cannot be read.
    """
    return runs_at(place) if is_uri(place) else holder_of(Path(place))


def holder_of(folder: Path) -> str | None:
    """Return which process searches in a folder, ``process 12 on a_host``; None if none does."""
    path = folder / LOCK
    holder = path.read_text(errors="replace")[:LONGEST] if path.is_file() else ""
    if is_gone(holder):
        return None  # the lock need not be tried
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return holder
    return None


def _taken(lock: IO[bytes]) -> bool:
    """Take a lock if nobody holds it; return whether it was taken."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Hold a folder against all processes on all machines that share it; raises `UserError`."""
    with open_to_append(folder / LOCK) as lock:
        give_up = time.monotonic() + GLANCE_S
        while not _taken(lock):
            if time.monotonic() > give_up:
                lock.seek(0)
                holder = lock.read().decode(errors="replace")[:LONGEST]
                raise UserError(f"{folder}: another search writes here ({holder}); {REMEDY}")
            time.sleep(GLANCE_S / 20)
        lock.truncate(0)
        lock.write(this_process().encode())
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)
