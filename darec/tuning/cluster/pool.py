"""Calls functions side by side, as Ray tasks on this machine or on a cluster."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from darec.core.threads import begin_to_train
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.processes import end_with_parent
from darec.provenance import Build, difference, this_build
from darec.tuning.cluster.connection import connected, local_cpus
from darec.tuning.cluster.preflight import check_room, why
from darec.tuning.cluster.shares import Wanted, slots

Calls = Sequence[tuple[Any, ...]]
"""The arguments of each call."""
RunAll = Callable[[Callable[..., Any], Calls], Iterator[tuple[int, "Future[Any]"]]]
SHARE_OPTIONS = ("--threads", "--device cuda")
RETRIES = 3
"""A call is repeated after this many deaths of its process, and given up at the next."""


@contextmanager
def pool(
    address: str | None,
    workers: int,
    threads: int,
    gpus: float = 0.0,
    memory: int = 0,
    insecure: bool = False,
) -> Iterator[RunAll]:
    """Yield ``run_all(function, calls)``, which yields each call's position and future as it ends.

    ``workers`` calls run at once, each in a process of its own, or fewer if a node has too little
    ``memory``, in bytes, for them. What a script or notebook defines travels by value. A future
    raises what its function raises. Raises `UserError` when no node can give a call that many
    threads and GPUs, a node runs other code than this process, or a worker is lost.
    """
    waiting = ThreadPoolExecutor(workers)
    cpus = max(local_cpus(), workers * threads)
    with connected(address, cpus, insecure=insecure) as joined:
        wanted = Wanted(threads, gpus, joined=joined)
        memory = slots(wanted, workers, memory, SHARE_OPTIONS).memory
        check_room(threads, gpus)
        share = {"num_cpus": threads, "num_gpus": gpus, "memory": memory}
        task = ray.remote(**share, max_retries=RETRIES)(_call)
        driver = this_build()

        running: set[ray.ObjectRef] = set()

        def run(function: Callable[..., Any], *arguments: Any) -> Any:
            answer = task.remote(driver, threads, function, *arguments)
            running.add(answer)
            try:
                return ray.get(answer)
            except RayTaskError as error:
                raise error.cause from None  # the function's own error, without Ray's frames
            except RayError as error:
                lost = f"its process was lost {RETRIES + 1} times, with what it had trained"
                remedy = "the same command makes this run again"
                raise UserError(f"{lost}: {why(error)}; {remedy}") from error
            finally:
                running.discard(answer)

        def run_all(
            function: Callable[..., Any], calls: Calls
        ) -> Iterator[tuple[int, "Future[Any]"]]:
            pairs = {id(each): each for call in calls for each in call if _is_pair(each)}
            stored = {key: ray.put(pair) for key, pair in pairs.items()}  # not once a call
            futures = {}
            for position, call in enumerate(calls):
                arguments = [stored.get(id(each), each) for each in call]
                futures[waiting.submit(run, function, *arguments)] = position
            for future in as_completed(futures):
                yield futures[future], future

        try:
            yield run_all
        except BaseException:  # Ctrl-C above all: nobody waits for the calls that run
            waiting.shutdown(wait=False, cancel_futures=True)
            for answer in list(running):
                ray.cancel(answer, force=True)
            raise
        finally:
            waiting.shutdown(cancel_futures=True)  # while Ray is still connected


def _is_pair(argument: Any) -> bool:
    return isinstance(argument, DomainPair)


def _call(driver: Build, threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    end_with_parent(os.getppid())  # the node's raylet, which ends with a driver on this machine
    if other := difference(driver, this_build()):
        raise UserError(f"node {socket.gethostname()} {other}")
    begin_to_train(threads)
    return function(*arguments)
