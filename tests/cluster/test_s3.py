"""A search with --out s3://...: its driver is killed, it resumes, and its winner is scored."""

import csv
import io
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import darec
from darec.tuning.durability.heartbeat import RUNNING

boto3 = pytest.importorskip("boto3", reason="needs boto3")
pytest.importorskip("moto.server", reason="needs moto's server")

JOBS = Path(__file__).parents[2] / "jobs"
OUT, STUDY = "s3://ours/results", "results/toys_auto-synthetic-90/i_autorec"
TRIALS = 6


@pytest.fixture
def s3(monkeypatch):
    """A mock of S3 with one bucket; this process and its children take it for the real one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "mock")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        client = boto3.client("s3")
        client.create_bucket(Bucket="ours")
        yield client
    finally:
        server.kill()
        server.wait()


@contextmanager
def started(tmp_path, job, *options):
    """Run a job beside the test; it ends with the test at the latest."""
    command = [sys.executable, JOBS / f"{job}.py", "--pair", "toys_auto", "--synthetic"]
    command += ["--model", "i_autorec", "--out", OUT, "--data", tmp_path, *options]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1"}
    with (tmp_path / "log").open("a") as log:
        job = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield job
    finally:
        job.kill()
        job.wait()


def keys(s3):
    return [found["Key"] for found in s3.list_objects_v2(Bucket="ours").get("Contents", [])]


@pytest.mark.ray
def test_a_search_under_a_uri_is_killed_resumed_and_evaluated(s3, tmp_path):
    search = ["--fix", "hidden=50", "--trials", str(TRIALS), "--max-epochs", "30", "--resume"]
    deadline, log = time.monotonic() + 120, tmp_path / "log"
    with started(tmp_path, "tune", *search) as driver:
        while not any(name.endswith("result.json") for name in keys(s3)):
            assert driver.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        (seen,) = darec.status(OUT)
        assert (seen.state, seen.asked) == ("running", TRIALS)
        driver.kill()
    assert f"{STUDY}/study.json" in keys(s3) and f"{STUDY}/best.json" not in keys(s3)
    for job, options in (("tune", search), ("evaluate", ["--seeds", "1"])):
        with started(tmp_path, job, *options) as ended:
            assert ended.wait(timeout=300) == 0, log.read_text()[-3000:]
    assert {f"{STUDY}/best.json", f"{STUDY}/best.safetensors", "results/scores.jsonl"} < {*keys(s3)}
    table = s3.get_object(Bucket="ours", Key=f"{STUDY}/trials.csv")["Body"].read().decode()
    (seen,) = darec.status(OUT)
    assert (seen.state, seen.n_ended, seen.process) == ("finished", TRIALS, "")
    assert not [name for name in keys(s3) if name.endswith(RUNNING)]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len({row["trial_id"] for row in rows}) == len(rows) == TRIALS
    assert {row["ended"] for row in rows} <= {"completed", "stopped early", "stalled"}
