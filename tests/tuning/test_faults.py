"""What a fault in the middle of a search costs: a killed worker, a killed node."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tuning import cycles

ROOT = Path(__file__).parents[2]


def searched(kind, folder):
    """Run the small search with a fault of this kind and return what it says."""
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.tuning.faults", kind, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    line = next((row for row in ended.stdout.splitlines() if row.startswith("FAULT ")), None)
    assert line, ended.stderr[-3000:]
    return json.loads(line.removeprefix("FAULT "))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    said = searched("none", tmp_path_factory.mktemp("none") / "study")
    assert not said["again"] and not any(row["failures"] for row in said["rows"])
    return said["rows"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worker", "node"])
def test_a_killed_worker_or_node_costs_epochs_and_no_trial(kind, undisturbed, tmp_path):
    said = searched(kind, tmp_path / "study")
    assert said["struck"]
    failures = [row["failures"] for row in said["rows"] if row["failures"]]
    assert failures and all(len(each) == 1 for each in failures)
    assert said["again"] <= 30, said  # since the last checkpoints, of at most both trials
    for name in ("config", "best_valid_rmse", "best_epoch", "ended"):
        assert [row[name] for row in said["rows"]] == [row[name] for row in undisturbed]


@pytest.mark.slow
def test_a_search_killed_at_random_moments_loses_and_doubles_no_trial():
    figures = cycles.run(3)
    assert figures.kills == 3 and figures.searches >= 1 and not figures.problems


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_search_told_to_stop_says_how_to_go_on_and_does(number, tmp_path):
    driver = cycles.start(tmp_path, "--fix", "batch_size=16")
    wait_for(tmp_path, driver)
    driver.send_signal(number)
    assert driver.wait(timeout=60) == 130
    said = (tmp_path / "log").read_text()
    assert "interrupted; continue with: python" in said and "--resume" in said
    assert cycles.start(tmp_path, "--fix", "batch_size=16").wait() == 0
    with (tmp_path / cycles.STUDY / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == cycles.TRIALS


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_search_goes_on_once_there_is_room(tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", out], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        assert cycles.start(out, log=tmp_path / "log").wait() == 1
        said = (tmp_path / "log").read_text().splitlines()
        assert "No space left on device" in said[-1], said[-20:]
        subprocess.run(["mount", "-o", "remount,size=400m", out], check=True)
        assert cycles.start(out, log=tmp_path / "log").wait() == 0
    finally:
        subprocess.run(["umount", out], check=True)


def wait_for(out, driver):
    """Wait until a trial has reported."""
    deadline = time.monotonic() + 120
    while not list((out / cycles.STUDY).glob("tune/*/result.json")):
        assert driver.poll() is None and time.monotonic() < deadline, (out / "log").read_text()
        time.sleep(0.1)
