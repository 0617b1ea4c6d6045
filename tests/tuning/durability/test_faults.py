"""What a fault in the middle of a search costs: a killed worker or node, a full disk."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tuning.durability import cycles
from tests.tuning.durability.struck import SLOW, TRIALS, completed, training

ROOT = Path(__file__).parents[3]


KINDS = ["worker-hang", "start", "reset", "node"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """What small searches on one cluster say, by the kind of their fault; "none" has none."""
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.tuning.durability.faults"]
    command += [str(tmp_path_factory.mktemp("faults")), "none", *KINDS]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("FAULT ")]
    assert len(lines) == 1 + len(KINDS), ended.stderr[-3000:]
    return dict(zip(["none", *KINDS], (json.loads(line[6:]) for line in lines), strict=True))


@pytest.mark.ray
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_or_hanging_worker_or_node_costs_epochs_and_no_trial(kind, searched):
    said, undisturbed = searched[kind], searched["none"]
    assert not undisturbed["again"] and not any(row["failures"] for row in undisturbed["rows"])
    assert said["struck"]
    failures = sum(len(row["failures"]) for row in said["rows"])
    # Tune counts a death between two trials as the task's and as the actor's
    assert failures == {"worker-hang": 2, "reset": 2}.get(kind, 1), said
    assert kind != "node" or said["counted"] == 0, said  # a lost node is no trial's failure
    assert said["again"] <= 30, said  # the epochs since the last checkpoints of at most two trials
    for name in ("config", "best_valid_rmse", "best_epoch", "ended"):
        assert [row[name] for row in said["rows"]] == [row[name] for row in undisturbed["rows"]]


@pytest.mark.nightly
@pytest.mark.ray
def test_a_search_killed_at_random_moments_loses_and_doubles_no_trial():
    figures = cycles.run(3, faults=("kill",))
    assert figures.events.total() == 3 and not figures.problems, figures.problems


@pytest.mark.ray
@pytest.mark.parametrize(
    "told",
    [
        [(os.kill, signal.SIGTERM)],
        pytest.param(
            [(os.kill, signal.SIGINT), (os.killpg, signal.SIGTERM)], marks=pytest.mark.nightly
        ),
    ],
)
def test_a_search_told_to_stop_says_how_to_go_on_and_does(tmp_path, told):
    """Schedulers of batch jobs send SIGTERM to every process of a job. Ray's end the driver."""
    for send, number in told:
        log = tmp_path / f"{send.__name__} {number}"
        driver = training(tmp_path, log, *SLOW)
        send(driver.pid, number)
        code = driver.wait(timeout=60)
        time.sleep(1)  # the last words may come after the end
        said = log.read_text()
        assert "Traceback" not in said and code in (1, 130), said
        if send is os.kill:
            assert code == 130 and "error:" not in said
            assert "interrupted; continue with: python" in said and "--resume" in said
        else:
            assert "--resume" in said.splitlines()[-1], said
    assert completed(tmp_path, tmp_path / "log", *SLOW) == TRIALS


@pytest.fixture
def small_disks():
    """Two file systems of 300 MB; their paths are short, since Ray has sockets below one."""
    disks = [Path(tempfile.mkdtemp(prefix="small")) for _ in range(2)]
    for disk in disks:
        command = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", disk]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("mounting a small file system is not permitted here")
    yield disks
    for disk in disks:
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()


@contextmanager
def filled(disk):
    """Leave no room on a disk."""
    subprocess.run(["dd", "if=/dev/zero", f"of={disk}/filler", "bs=1M"], check=False)
    yield
    (disk / "filler").unlink()


@pytest.mark.nightly
@pytest.mark.ray
def test_a_full_disk_is_reported_and_the_search_goes_on_once_there_is_room(
    small_disks, tmp_path, monkeypatch
):
    """The disk of the results, and then that of Ray's own folder."""
    results, rays = small_disks
    monkeypatch.setenv("RAY_TMPDIR", str(rays))
    options = [*SLOW, "--trials", "2", "--fix", "learning_rate=1e-4"]
    for disk in (results, rays):
        log = tmp_path / disk.name
        driver = training(results, log, *options)
        with filled(disk):
            assert driver.wait(timeout=240) == 1
        said = log.read_text()
        (line,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert "No space left on device" in line, said[-3000:]
        if disk is results:
            assert line == said.splitlines()[-1]
        else:
            assert f"No space left on device: {rays}" in line and "Traceback" not in said, said
        assert not (results / cycles.STUDY / "best.json").exists()
    assert completed(results, tmp_path / "log", *options) == 2


@pytest.mark.ray
def test_a_disk_without_room_or_permission_is_reported_at_once(small_disks, tmp_path):
    disk, _ = small_disks
    for options, words in (([], "No space left"), (["-o", "remount,ro"], "Read-only file system")):
        if options:
            subprocess.run(["mount", *options, disk], check=True)
        else:
            subprocess.run(["dd", "if=/dev/zero", f"of={disk}/filler", "bs=1M"], check=False)
        log = tmp_path / f"log{len(options)}"
        assert cycles.start(disk, log=log).wait() == 1
        said = log.read_text().splitlines()
        assert said[-1].startswith("error: ") and words in said[-1], said[-20:]
