"""A cluster whose nodes are processes of this machine, and a timer of Tune's snapshots."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import ray
from ray.cluster_utils import Cluster
from ray.tune.execution.tune_controller import TuneController

from darec.tuning.cluster.authentication import use_token
from darec.tuning.cluster.connection import connect
from darec.tuning.durability.snapshot import CopySnapshots

OBJECT_STORE_BYTES = 100 * 2**20
"""Size of each node's object store. All nodes share this machine's memory."""


@contextlib.contextmanager
def simulated_cluster(nodes: int) -> Iterator[None]:
    """Join a cluster of a head that runs no trials and ``nodes`` with one CPU to give each."""
    use_token()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
        connect(cluster.address)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextlib.contextmanager
def timed_snapshots() -> Iterator[list[float]]:
    """Collect the seconds that a search waits for each of Tune's snapshots, and for each copy.

    The time in which another thread of Tune copies files to the storage is not included.
    """
    seconds: list[float] = []

    def timed(plain: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            begin = time.perf_counter()
            plain(*arguments, **options)
            seconds.append(time.perf_counter() - begin)

        return call

    with (
        patch.object(TuneController, "checkpoint", timed(TuneController.checkpoint)),
        patch.object(CopySnapshots, "on_step_begin", timed(CopySnapshots.on_step_begin)),
    ):
        yield seconds
