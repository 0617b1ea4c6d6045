"""The commands of docs/serving.md for a cluster, on machines made of namespaces."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from tests.cluster import hosts
from tests.cluster.test_ray_up import _started, _wait_for_nodes
from tests.serving.conftest import searched
from tests.serving.on_ray.running import ROOT, free_port
from tests.serving.on_ray.test_docs import commands

FOLDER = "results/toys_auto-synthetic-90/bias/model"


@pytest.fixture
def lab():
    reason = hosts.missing()
    if reason:
        pytest.skip(f"cannot make machines that answer ssh: {reason}")
    with hosts.lab(2) as made:
        yield made


@pytest.mark.cluster
@pytest.mark.nightly
def test_a_model_is_served_by_a_worker_and_reached_through_the_head(lab, tmp_path, tiny_pair):
    file, port = tmp_path / "own-cluster.yaml", free_port()
    environment = {
        **os.environ,
        "HOME": str(lab.home),
        "RAY_UP_enable_autoscaler_v2": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(ROOT),
    }
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):  # the token is in the file that is sent
        environment.pop(name, None)

    def command(line):
        """Return a command of the page for the lab's cluster."""
        line = line.replace("cluster.yaml", str(file)).replace("/home/ray", "/root")
        line = line.replace(FOLDER, str(folder)).replace("8000 --remote", f"{port} --remote")
        return shlex.split(line.replace(":8000/", f":{port}/"))

    def run(*line):
        ended = subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, f"{line}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        return ended.stdout

    folder = searched("cmf", tiny_pair, tmp_path).fit(tiny_pair)
    addresses = ",".join(host.ip for host in lab.hosts)
    written = ["--hosts", addresses, "--user", "root", "--key", str(lab.key), "--to", str(file)]
    run(sys.executable, "jobs/own_cluster.py", *written, "--out", str(lab.shared))
    config = yaml.safe_load(file.read_text())
    config["head_start_ray_commands"] = [
        line.replace("ray start --head", "ray start --head --num-cpus=0")
        for line in config["head_start_ray_commands"]
    ]
    file.write_text(
        yaml.safe_dump(config).replace("ray start --address", "ray start --num-cpus=2 --address")
    )
    run("ray", "get-auth-token", "--generate")
    send, serve, tunnel, ask = map(command, commands("On a cluster"))
    try:
        run("ray", "up", "-y", str(file))
        _wait_for_nodes(lambda: run("ray", "exec", str(file), "ray status"), workers=2)
        run(*send)
        said = tmp_path / "said"
        with _started(serve, environment, said):
            _wait(lambda: "serving /root/model" in said.read_text(), said)
            with _started(tunnel, environment, tmp_path / "tunnel"):
                _wait(lambda: answers(port), said)
                assert len(json.loads(run(*ask))["model"]) == 64
    finally:
        run("ray", "down", "-y", str(file))


def answers(port):
    try:
        return urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10)
    except OSError:
        return None


def _wait(holds, said):
    deadline = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.5)
