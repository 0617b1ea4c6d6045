"""Runs side by side on a cluster that is joined."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOINED = """
import sys
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

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
with pool.pool(cluster.address, workers=2, threads=1) as submit:
    for future in [submit(square, number) for number in (3, -1, 4)]:
        print(outcome(future))
pool.code_digest = lambda: "the driver's"
with pool.pool(cluster.address, workers=2, threads=1) as submit:
    print(outcome(submit(square, 3)))
cluster.shutdown()
"""


@pytest.mark.slow
def test_calls_on_a_cluster_give_values_errors_in_one_line_and_run_the_drivers_code():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JOINED]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    *ran, refused = ended.stdout.splitlines()[-4:]
    assert ran == ["9", "DivergedError: a loss is -1", "16"]
    assert refused.startswith("UserError: the driver and node ")
    assert refused.endswith(" differ: its darec is another")
