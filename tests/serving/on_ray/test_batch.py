"""All users scored on two nodes by Ray Data: the same as here, and an interruption keeps parts."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import darec
from darec.errors import UserError
from darec.serving.on_ray.batch import recommend_on_cluster
from darec.serving.on_ray.parts import PLAN, Plan, begin
from tests.serving.conftest import searched

ROOT = Path(__file__).parents[3]
CLUSTER = """
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print("AT", cluster.address, flush=True)
input()
cluster.shutdown()
"""
DRIVER = """
import sys
from pathlib import Path
from darec.cli.console import set_up
from darec.serving.on_ray.batch import recommend_on_cluster
model, out, titles, address = sys.argv[1:]
made = recommend_on_cluster(
    Path(model), out, n=3, titles=Path(titles), address=address, pairs_a_part=1,
    reporter=set_up(False, False),
)
print("MADE", made)
"""


@pytest.fixture(scope="module")
def model_folder(tiny_pair, tmp_path_factory):
    """The folder of a small factor model of 120 users."""
    result = searched("cmf", tiny_pair, tmp_path_factory.mktemp("results"))
    return Path(darec.fit(result, tiny_pair, refit="train"))


@pytest.mark.ray
def test_an_interrupted_run_on_two_nodes_goes_on_and_gives_what_this_machine_gives(
    model_folder, tmp_path
):
    out, titles = tmp_path / "top", tmp_path / "titles.csv"
    model = darec.load(model_folder)
    first, n_users = model.item_ids.ids[0], len(model.user_ids.ids)
    titles.write_text(f"item,title\n{first},The first\n")
    with started(CLUSTER) as cluster:
        address = next(line for line in cluster.stdout if line.startswith("AT ")).split()[1]
        words = [str(model_folder), str(out), str(titles), address]
        with started(DRIVER, *words) as driver:
            while len(parts(out)) < 5:
                assert driver.poll() is None, driver.stdout.read()
                time.sleep(0.02)
            driver.kill()
        kept = {path: path.stat().st_mtime_ns for path in parts(out)}
        assert 5 <= len(kept) < n_users
        with started(DRIVER, *words) as driver:
            said = driver.stdout.read()
    assert f"MADE {n_users - len(kept)}" in said, said
    assert f"{n_users} parts, {len(kept)} of which are there" in said
    assert "on 2 nodes" in said
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in parts(out)}.items()
    found = pd.read_parquet(out)
    here = model.recommend(list(model.user_ids.ids), 3)
    here["title"] = here["item"].map({first: "The first"})
    pd.testing.assert_frame_equal(found, here, check_dtype=False, rtol=1e-5)
    # what is complete needs no cluster, and what was asked for otherwise is told
    assert (
        recommend_on_cluster(
            model_folder, str(out), n=3, titles=titles, address="none:1", pairs_a_part=1
        )
        == 0
    )
    with pytest.raises(UserError, match=f"{PLAN}: top of the parts that are there is 3, but that"):
        recommend_on_cluster(model_folder, str(out), titles=titles, address="x", pairs_a_part=1)


def test_a_folder_with_other_files_is_refused(model_folder, tmp_path):
    (tmp_path / "mine.txt").touch()
    told = f"--out {tmp_path}: must be empty or have a {PLAN}, but has other files"
    with pytest.raises(UserError, match=re.escape(told)):
        recommend_on_cluster(model_folder, str(tmp_path), address="none:1")
    (tmp_path / "mine.txt").rename(tmp_path / "part-000000.parquet")
    (tmp_path / PLAN).write_text("{}\n")
    with pytest.raises(UserError, match=rf"{PLAN}: model is missing; give another -o"):
        recommend_on_cluster(model_folder, str(tmp_path), address="none:1")


def test_what_an_interruption_left_is_no_other_file(tmp_path):
    plan = Plan("model", 5, 2, 10, False, 0.0, None)
    (tmp_path / f".{PLAN}.0123456789abcdef.json").touch()
    assert begin(str(tmp_path), plan) == [0, 1, 2]
    (tmp_path / "part-000001.parquet").touch()
    assert begin(str(tmp_path), plan) == [0, 2]


def test_a_plan_without_parts_binds_nobody(tmp_path):
    begin(str(tmp_path / "out"), Plan("model", 5, 2, 10, False, 0.0, None))
    assert begin(str(tmp_path / "out"), Plan("model", 5, 5, 3, True, 0.0, None)) == [0]


@contextmanager
def started(code, *words):
    """Run code in a process of its own, which ends at the end of the block, or when it is done."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.communicate("\n", timeout=60)


def parts(out):
    return list(out.glob("part-*.parquet"))
