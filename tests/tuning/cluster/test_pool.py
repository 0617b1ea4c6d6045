"""Calls side by side: in this process, on this machine, and on a cluster that is joined."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darec.tuning.cluster.pool import pool

ROOT = Path(__file__).parents[3]


def test_several_workers_of_this_machine_give_every_calls_value_with_its_position(cluster):
    def square(number):  # travels by value
        return os.getpid(), number**2

    with pool(None, workers=2, threads=1) as run_all:
        ended = {position: future.result() for position, future in run_all(square, [(3,), (4,)])}
    assert {position: value for position, (_, value) in ended.items()} == {0: 9, 1: 16}
    assert os.getpid() not in {process for process, _ in ended.values()}


JOINED = """
import os
import sys
from ray.cluster_utils import Cluster
from darec.core.recommender import DivergedError
from darec.errors import UserError
from darec.provenance import Build, versions
from darec.tuning.cluster import pool

def square(number):
    if number < 0:
        raise DivergedError(f"a loss is {number}")
    return number**2

def outcome(future):
    try:
        return future.result()
    except (DivergedError, UserError) as error:
        return f"{type(error).__name__}: {error}"

def tell(what):
    sys.stdout.write(f"TOLD {what}" + os.linesep)  # in one piece, among what Ray prints

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
with pool.pool(cluster.address, workers=2, threads=1) as run_all:
    for position, future in sorted(run_all(square, [(3,), (-1,), (4,)])):
        tell(outcome(future))
    ((_, future),) = run_all(os._exit, [(1,)])
    tell(outcome(future))
pool.this_build = lambda: Build("the driver's", versions())
with pool.pool(cluster.address, workers=2, threads=1) as run_all:
    ((_, future),) = run_all(square, [(3,)])
    tell(outcome(future))
try:
    with pool.pool(cluster.address, workers=1, threads=64):
        tell("64 threads")
except UserError as error:
    tell(error)
cluster.shutdown()
"""


@pytest.mark.ray
def test_calls_on_a_cluster_give_values_or_errors_in_one_line():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JOINED]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = [line.partition("TOLD ")[2] for line in ended.stdout.splitlines() if "TOLD" in line]
    *ran, lost, refused, large = lines
    assert ran == ["9", "DivergedError: a loss is -1", "16"]
    assert lost.startswith("UserError: its process was lost 4 times, with what it had trained: ")
    assert "died unexpectedly" in lost
    assert lost.endswith("; the same command makes this run again")
    assert refused.startswith("UserError: node ")
    assert refused.endswith(" runs other darec code than the driver")
    assert large == "--threads must fit on one node (the largest has 2), but got 64"


HOLDS = """
import os, sys
from pathlib import Path
from darec.tuning.cluster.pool import pool

def hold(mark):
    Path(mark).write_text(str(os.getpid()))
    sum(range(10**12))  # compiled code that gives Ray's threads no turn

with pool(None, workers=1, threads=1) as run_all:
    list(run_all(hold, [(sys.argv[1],)]))
"""


@pytest.mark.ray
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_worker_in_compiled_code_ends_with_a_killed_driver(tmp_path):
    mark, environment = tmp_path / "pid", {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, "-c", HOLDS, str(mark)], env=environment)
    while not (mark.is_file() and mark.read_text()):
        assert driver.poll() is None
        time.sleep(0.1)
    worker = Path("/proc", mark.read_text())
    time.sleep(1)
    assert worker.exists()
    driver.kill()
    driver.wait()
    time.sleep(2)  # by itself, Ray ends such a worker after some ten seconds
    assert not worker.exists() or " Z " in (worker / "stat").read_text()
