"""Checks before a search: all nodes run this code and see the results, and a trial fits on one."""

import ctypes
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
import yaml
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darec.errors import UserError
from darec.provenance import Build, difference, this_build
from darec.reporter import LOGGER
from darec.tuning import storage

ANSWER_S = 60.0
"""A node that does not run an empty task within this many seconds cannot run trials."""
GROW_S = 1800.0
"""How long an autoscaler is given to bring up the first node that a trial fits on. The machine
boots, and fetches an image of 10 GB and libraries of 3 GB."""
TELL_S = 120.0
"""Seconds between two messages that say that the search still waits for a node."""
BOOTSTRAP = Path(os.path.expanduser("~")) / "ray_bootstrap_config.yaml"
"""The file on the head in which `ray up` leaves the cluster's configuration. Where this user has no
home there is none."""
LEAST_FREE = 64 * 2**20
"""Bytes that must be free where results go, in addition to those for checkpoints."""


@dataclass(frozen=True)
class Node:
    """A node's answer to the driver."""

    host: str
    build: Build
    """Its code and libraries."""
    sees_results: bool
    """Whether it sees a file that the driver wrote where results go."""
    gpu_fault: str
    """Why its torch cannot use a GPU; empty if nothing is known to be wrong."""


def look(mark: str | None) -> Node:
    """Return this node's answer; ``mark`` is a file that the driver wrote where results go."""
    sees = mark is None or storage.exists(*storage.open_place(mark))
    return Node(socket.gethostname(), this_build(), sees, gpu_fault())


def gpu_fault() -> str:
    """Return why torch cannot use this machine's GPUs; empty if nothing is known to be wrong.

    It only reads the version of the NVIDIA driver, so it also works in a task without a GPU.
    """
    built = torch.version.cuda
    if torch.version.hip is not None:
        return ""
    if built is None:
        return f"its torch {torch.__version__} is built without CUDA"
    driver = driver_version()
    if not driver:
        return "it has no NVIDIA driver that can be loaded"
    if driver // 1000 < int(built.partition(".")[0]):
        newest = f"{driver // 1000}.{driver % 1000 // 10}"
        return f"its NVIDIA driver is for CUDA {newest}, and its torch for CUDA {built}"
    return ""


def driver_version() -> int:
    """Return the newest CUDA that the NVIDIA driver is for, 12040 for 12.4; 0 without a driver."""
    version = ctypes.c_int()
    try:
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return 0
    return version.value


def check_cluster(place: str, cpus: float, gpus: float, report: Callable[[str], object]) -> None:
    """Raise `UserError` unless every node runs this code and sees the results, and a trial fits.

    If no node is large enough yet, waits for one that the autoscaler brings, and checks it too.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    with _marked(place) as mark:
        asked = [
            (node["NodeManagerHostname"], _ask(mark, node_id=node["NodeID"])) for node in alive
        ]
        for name, answer in asked:
            _check(_answer(f"node {name}", answer, ANSWER_S), place)
        if not has_room({"CPU": cpus, "GPU": gpus}):
            _check(_grown(_ask(mark, cpus=cpus, gpus=gpus), cpus, gpus, report), place)


def check_gpus(gpus: float) -> None:
    """Raise `UserError` if trials want GPUs and the torch of a node cannot use those it has."""
    if not gpus:
        return
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    for answer in [_ask(None, node_id=node["NodeID"]) for node in nodes]:
        node = _answer("a node with GPUs", answer, ANSWER_S)
        if node.gpu_fault:
            remedy = "install a torch that fits the driver, or give --gpus-per-trial 0"
            raise UserError(f"node {node.host} cannot use its GPUs: {node.gpu_fault}; {remedy}")


def check_room(cpus: float, gpus: float) -> None:
    """Raise `UserError` unless a node is large enough, or the autoscaler brings one that is."""
    if has_room({"CPU": cpus, "GPU": gpus}):
        return  # if the node is busy, calls wait for it
    _check(_grown(_ask(None, cpus=cpus, gpus=gpus), cpus, gpus, LOGGER.warning), "")


def free_bytes(folder: Path) -> int:
    """Return how many bytes are free where a folder is, or will be."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def check_disk(folder: Path, need: int, remedy: str = "") -> None:
    """Raise `UserError`, with a remedy, when less than ``need`` bytes are free for results."""
    free = free_bytes(folder)
    if free < need:
        raise UserError(
            f"{folder}: {free / 2**30:.1f} GiB are free, but the trials that run at once may "
            f"need {need / 2**30:.1f} GiB for their checkpoints{remedy}"
        )


def has_room(needs: Mapping[str, float]) -> bool:
    """Return whether a node has these resources in total; work that runs on it is ignored."""
    nodes = [{"memory": math.inf, **node["Resources"]} for node in ray.nodes() if node["Alive"]]
    return any(all(n.get(kind, 0.0) >= need for kind, need in needs.items()) for n in nodes)


def growth() -> list[tuple[int, dict[str, float]]] | None:
    """Return how many nodes of which resources the autoscaler may add; None if unknown.

    `ray up` leaves its configuration on the head, where the driver runs. Without that file there is
    no autoscaler, except on Kubernetes, whose operator keeps the configuration to itself.
    """
    if not BOOTSTRAP.is_file():
        return None if "KUBERNETES_SERVICE_HOST" in os.environ else []
    config = yaml.safe_load(BOOTSTRAP.read_text())
    kinds = config["available_node_types"].items()
    return [
        (kind.get("max_workers", config["max_workers"]), kind["resources"])
        for name, kind in kinds
        if name != config["head_node_type"]
    ]


def _ask(mark: str | None, node_id: str | None = None, cpus: float = 0.0, gpus: float = 0.0) -> Any:
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(look)
    if node_id:
        task = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))
    return task.remote(mark)


def _answer(name: str, answer: Any, seconds: float) -> Node:
    try:
        node: Node = ray.get(answer, timeout=seconds)
    except GetTimeoutError as error:
        ray.cancel(answer, force=True)
        raise UserError(f"{name} gave no answer within {seconds:g} s") from error
    except RayError as error:
        raise UserError(f"{name} cannot run darec, or read --out: {why(error)}") from error
    return node


def _grown(answer: Any, cpus: float, gpus: float, report: Callable[[str], object]) -> Node:
    """Wait for a node that the autoscaler adds, and return its answer; report the waiting."""
    name, begin = f"node with {cpus:g} CPU and {gpus:g} GPU", time.monotonic()
    report(f"waiting for a {name}, at most {GROW_S:g} s")
    while (waited := time.monotonic() - begin) < GROW_S:
        if ray.wait([answer], timeout=min(TELL_S, GROW_S - waited))[0]:
            return _answer("the autoscaler's next node", answer, ANSWER_S)
        up = sum(node["Alive"] for node in ray.nodes())
        report(f"no {name} yet after {time.monotonic() - begin:.0f} s; nodes up: {up}")
    ray.cancel(answer, force=True)
    message = f"the autoscaler brought no {name} within {GROW_S:g} s"
    raise UserError(f"{message}; `ray status` on the head says why{_likely_cause(gpus)}")


def _likely_cause(gpus: float) -> str:
    """Return why AWS refuses GPUs to new accounts; empty elsewhere."""
    if not gpus or not BOOTSTRAP.is_file():
        return ""
    if yaml.safe_load(BOOTSTRAP.read_text())["provider"]["type"] != "aws":
        return ""
    return (
        "; MaxSpotInstanceCountExceeded there means that the account's quota for spot GPUs "
        '("All G and VT Spot Instance Requests") is 0 or used up'
    )


def why(error: RayError) -> str:
    """Return the line of a Ray error that gives the reason.

    An exception of the task has its reason in the last line, below the traceback. Ray's own errors
    have it in the first line, above advice.
    """
    messages = [line for line in str(error).splitlines() if line and not line[0].isspace()]
    if not messages:
        return type(error).__name__
    return messages[-1] if isinstance(error, RayTaskError) else messages[0]


def _check(node: Node, place: str) -> None:
    if other := difference(this_build(), node.build):
        remedy = "send the code again (ray rsync-up, or ray up)"
        raise UserError(f"node {node.host} {other}; {remedy}")
    if not node.sees_results:
        rule = "does not see --out; with several nodes it must be a shared folder or a URI (s3://)"
        raise UserError(f"node {node.host} {rule}: {place}")


@contextmanager
def _marked(place: str) -> Iterator[str]:
    """Write a file where results go, for all nodes to see, and delete it in the end."""
    name = storage.join(place, f".seen-{uuid.uuid4().hex}")
    files, path = storage.open_place(name)
    storage.replace(files, path, b"")
    try:
        yield name
    finally:
        storage.delete(files, path)
