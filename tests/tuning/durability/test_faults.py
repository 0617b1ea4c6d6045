"""What a fault in the middle of a search costs: a killed worker or node, a full disk."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.tuning.durability import cycles

ROOT = Path(__file__).parents[3]


def searched(kind, folder):
    """Run the small search with a fault of this kind and return what it says."""
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.tuning.durability.faults", kind, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    line = next((row for row in ended.stdout.splitlines() if row.startswith("FAULT ")), None)
    assert line, ended.stderr[-3000:]
    return json.loads(line.removeprefix("FAULT "))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    said = searched("none", tmp_path_factory.mktemp("none") / "study")
    assert not said["again"] and not any(row["failures"] for row in said["rows"])
    return said["rows"]


@pytest.mark.ray
@pytest.mark.parametrize("kind", ["worker-hang", "start", "reset", "node"])
def test_a_killed_or_hanging_worker_or_node_costs_epochs_and_no_trial(kind, undisturbed, tmp_path):
    said = searched(kind, tmp_path / "study")
    assert said["struck"]
    failures = sum(len(row["failures"]) for row in said["rows"])
    # Tune counts a death between two trials as the task's and as the actor's
    assert failures == {"worker-hang": 2, "reset": 2}.get(kind, 1), said
    assert kind != "node" or said["counted"] == 0, said  # a lost node is no trial's failure
    assert said["again"] <= 30, said  # the epochs since the last checkpoints of at most two trials
    for name in ("config", "best_valid_rmse", "best_epoch", "ended"):
        assert [row[name] for row in said["rows"]] == [row[name] for row in undisturbed]


@pytest.mark.ray
def test_a_search_killed_at_random_moments_loses_and_doubles_no_trial():
    figures = cycles.run(3, faults=("kill",))
    assert figures.events.total() == 3 and not figures.problems, figures.problems


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_search_told_to_stop_says_how_to_go_on_and_does(number, tmp_path):
    driver = cycles.start(tmp_path, "--fix", "batch_size=16")
    wait_for(tmp_path, driver)
    driver.send_signal(number)
    assert driver.wait(timeout=60) == 130
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said and "error:" not in said
    assert "interrupted; continue with: python" in said and "--resume" in said
    assert cycles.start(tmp_path, "--fix", "batch_size=16").wait() == 0
    with (tmp_path / cycles.STUDY / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == cycles.TRIALS


@pytest.mark.ray
def test_a_search_that_is_stopped_with_all_of_its_ray_says_so_and_goes_on(tmp_path):
    """Schedulers of batch jobs send SIGTERM to every process of a job. Ray's end the driver."""
    driver = cycles.start(tmp_path, "--fix", "batch_size=16")
    wait_for(tmp_path, driver)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(timeout=30) in (1, 130)
    time.sleep(1)  # the last words may come after the end
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said and "--resume" in said.splitlines()[-1], said
    assert cycles.start(tmp_path, "--fix", "batch_size=16").wait() == 0


@pytest.fixture
def small_disk():
    """A file system of 300 MB; its path is short, since Ray has sockets below it."""
    disk = Path(tempfile.mkdtemp(prefix="small"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", disk], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)
    disk.rmdir()


@pytest.mark.ray
def test_a_full_disk_is_told_and_the_search_goes_on_once_there_is_room(small_disk, tmp_path):
    log = tmp_path / "log"
    options = ["--trials", "2", "--fix", "batch_size=16", "--fix", "learning_rate=1e-4"]
    driver = cycles.start(small_disk, *options, log=log)
    wait_for(small_disk, driver)
    subprocess.run(["dd", "if=/dev/zero", f"of={small_disk}/filler", "bs=1M"], check=False)
    assert driver.wait(timeout=240) == 1
    said = log.read_text().splitlines()
    assert said[-1].startswith("error: ") and "No space left on device" in said[-1], said[-20:]
    assert not (small_disk / cycles.STUDY / "best.json").exists()
    (small_disk / "filler").unlink()
    assert cycles.start(small_disk, *options, log=log).wait() == 0, log.read_text()[-3000:]
    with (small_disk / cycles.STUDY / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


@pytest.mark.ray
def test_a_disk_without_room_or_permission_is_told_at_once(small_disk, tmp_path):
    subprocess.run(["dd", "if=/dev/zero", f"of={small_disk}/filler", "bs=1M"], check=False)
    for options, words in (([], "No space left"), (["-o", "remount,ro"], "Read-only file system")):
        if options:
            subprocess.run(["mount", *options, small_disk], check=True)
        log = tmp_path / f"log{len(options)}"
        assert cycles.start(small_disk, log=log).wait() == 1
        said = log.read_text().splitlines()
        assert said[-1].startswith("error: ") and words in said[-1], said[-20:]


@pytest.mark.ray
def test_a_full_folder_of_rays_own_is_named_in_one_line(small_disk, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(small_disk))
    options = ["--trials", "2", "--fix", "batch_size=16", "--fix", "learning_rate=1e-4"]
    driver = cycles.start(tmp_path, *options)
    wait_for(tmp_path, driver)
    subprocess.run(["dd", "if=/dev/zero", f"of={small_disk}/filler", "bs=1M"], check=False)
    assert driver.wait(timeout=240) == 1
    said = (tmp_path / "log").read_text()
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert f"No space left on device: {small_disk}" in line and "Traceback" not in said, said
    (small_disk / "filler").unlink()
    assert cycles.start(tmp_path, *options).wait() == 0, (tmp_path / "log").read_text()[-3000:]


def wait_for(out, driver):
    """Wait until a trial has reported."""
    deadline = time.monotonic() + 120
    while not list((out / cycles.STUDY).glob("tune/*/result.json")):
        assert driver.poll() is None and time.monotonic() < deadline, (out / "log").read_text()
        time.sleep(0.1)
