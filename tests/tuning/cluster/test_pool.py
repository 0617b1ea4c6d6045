"""Runs side by side on a cluster that is joined."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOINED = """
import os
from ray.cluster_utils import Cluster
from darec.core.recommender import DivergedError
from darec.errors import UserError
from darec.tuning import pool

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
    print("TOLD", what)  # among what Ray prints

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
with pool.pool(cluster.address, workers=2, threads=1) as submit:
    for future in [submit(square, number) for number in (3, -1, 4)]:
        tell(outcome(future))
    tell(outcome(submit(os._exit, 1)))
pool.code_digest = lambda: "the driver's"
with pool.pool(cluster.address, workers=2, threads=1) as submit:
    tell(outcome(submit(square, 3)))
try:
    with pool.pool(cluster.address, workers=1, threads=64):
        tell("64 threads")
except UserError as error:
    tell(error)
cluster.shutdown()
"""


@pytest.mark.slow
def test_calls_on_a_cluster_give_values_or_errors_in_one_line():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JOINED]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = [line.removeprefix("TOLD ") for line in ended.stdout.splitlines() if "TOLD" in line]
    *ran, lost, refused, large = lines
    assert ran == ["9", "DivergedError: a loss is -1", "16"]
    assert lost.startswith("UserError: a worker was lost: ")
    assert refused.startswith("UserError: the driver and node ")
    assert refused.endswith(" differ: its darec is another")
    assert large == "--threads must fit on one node (the largest has 2), but got 64"
