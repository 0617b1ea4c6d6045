"""Calls functions in this process, or several at once on this machine or on a cluster."""

import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from darec.errors import UserError
from darec.provenance import Build, difference, this_build
from darec.tuning.cluster.connection import connected, local_cpus
from darec.tuning.cluster.preflight import check_room, last_line
from darec.tuning.cluster.shares import Wanted, slots

Calls = Sequence[tuple[Any, ...]]
"""The arguments of each call."""
RunAll = Callable[[Callable[..., Any], Calls], Iterator[tuple[int, "Future[Any]"]]]
OPTIONS = ("--threads", "--device cuda")
"""The options that an error names if no node has the CPUs or GPUs of a call."""


@contextmanager
def pool(address: str | None, workers: int, threads: int, gpus: float = 0.0) -> Iterator[RunAll]:
    """Give ``run_all(function, calls)``, which yields each call's position and future as it ends.

    ``workers`` calls run at once; one worker without an address is this process itself. Functions
    and arguments may be defined in a script or notebook. A future raises what its function raises.
    On a cluster, raises `UserError` when no node can give a call that many threads and GPUs, a node
    runs other code than this process, or a worker is lost.
    """
    if address is None and workers == 1:
        yield partial(_here, threads)
        return
    waiting = ThreadPoolExecutor(workers)
    try:
        with connected(address, max(local_cpus(), workers * threads)):
            wanted = Wanted(threads, gpus, joined=address is not None)
            slots(wanted, workers, 0, OPTIONS)
            check_room(threads, gpus)
            task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(_call)
            driver = this_build()

            def run(function: Callable[..., Any], *arguments: Any) -> Any:
                try:
                    return ray.get(task.remote(driver, threads, function, *arguments))
                except RayTaskError as error:
                    raise error.cause from None  # the function's own error, without Ray's frames
                except RayError as error:
                    raise UserError(f"a worker was lost: {last_line(error)}") from error

            def run_all(
                function: Callable[..., Any], calls: Calls
            ) -> Iterator[tuple[int, Future[Any]]]:
                futures = {
                    waiting.submit(run, function, *arguments): position
                    for position, arguments in enumerate(calls)
                }
                for future in as_completed(futures):
                    yield futures[future], future

            try:
                yield run_all
            finally:
                waiting.shutdown(cancel_futures=True)  # while Ray is still connected
    finally:
        waiting.shutdown(cancel_futures=True)


def _here(
    threads: int, function: Callable[..., Any], calls: Calls
) -> Iterator[tuple[int, "Future[Any]"]]:
    """Make the calls one after another in this process; an interruption is raised at once."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for position, arguments in enumerate(calls):
            future: Future[Any] = Future()
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)
            yield position, future
    finally:
        torch.set_num_threads(before)


def _call(driver: Build, threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    if other := difference(driver, this_build()):
        raise UserError(f"node {socket.gethostname()} {other}")
    torch.set_num_threads(threads)
    return function(*arguments)
