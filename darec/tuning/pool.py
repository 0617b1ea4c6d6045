"""Functions run side by side: in processes of this machine, or on a cluster that is joined."""

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from darec.errors import UserError
from darec.provenance import code_digest, difference, versions
from darec.tuning.preflight import check_room, last_line
from darec.tuning.resources import connect, slots

Submit = Callable[..., "Future[Any]"]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def pool(address: str | None, workers: int, threads: int, gpus: float = 0.0) -> Iterator[Submit]:
    """Give ``submit(function, *arguments)``; ``workers`` calls run at once, the others wait.

    Calls raise what the function does. On a cluster, raises `UserError` where no node can give a
    call that many threads and GPUs, a node runs other code than this, or its workers are lost.
    """
    if address is None:
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(threads)  # of the workers, before they load a library
        spawn = get_context("spawn")
        with ProcessPoolExecutor(workers, spawn, torch.set_num_threads, (threads,)) as executor:
            yield executor.submit
        return
    connect(address)
    calls = ThreadPoolExecutor(workers)
    try:
        slots(threads, gpus, workers, 0, joined=True, options=("--threads", "--device cuda"))
        check_room(threads, gpus)
        task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(_threaded)
        here = code_digest(), versions()

        def run(function: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return ray.get(task.remote(*here, threads, function, *arguments))
            except RayTaskError as error:
                raise error.cause from None  # the function's own: its text has no frames of Ray
            except RayError as error:
                raise UserError(f"a worker was lost: {last_line(error)}") from error

        yield lambda function, *arguments: calls.submit(run, function, *arguments)
    finally:
        calls.shutdown(cancel_futures=True)  # interrupted: those that wait do not start
        ray.shutdown()


def _threaded(
    code: str,
    libraries: dict[str, str],
    threads: int,
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    if other := difference(code, libraries):
        raise UserError(f"the driver and node {socket.gethostname()} differ: {other}")
    torch.set_num_threads(threads)
    return function(*arguments)
