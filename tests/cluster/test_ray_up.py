"""The commands of docs/cluster.md for own machines; meanwhile the cluster loses a worker."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from darec.tuning.study.accounts import nodes_lost
from tests.cluster import hosts

ROOT = Path(__file__).parents[2]
STUDY = "toys_auto-synthetic-90/i_autorec"
SMALL = (
    "--synthetic --model i_autorec --trials 3 --max-epochs 60 --scheduler none "
    "--fix hidden=1000 --fix center=bias --fix learning_rate=1e-4"
)
"""Makes of the page's search one of three trials that are long enough to lose a machine in."""
SMOKE = "python jobs/tune.py --pair toys_auto --smoke-test --address auto".split()


@pytest.fixture
def lab():
    reason = hosts.missing()
    if reason:
        pytest.skip(f"cannot make machines that answer ssh: {reason}")
    with hosts.lab(3) as made:
        yield made


def commands_of_page(values):
    """Return the page's commands for own machines, with values for those that it shows."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    block = page.partition("## Machines of your own\n")[2].split("```")[1]
    lines = [line.partition("  # ")[0].strip() for line in block.splitlines()[1:]]
    for shown, value in values.items():
        assert any(shown in line for line in lines), shown
        lines = [line.replace(shown, value) for line in lines]
    return lines


@pytest.mark.cluster
def test_up_search_kill_a_worker_and_down(lab, tmp_path):
    file = tmp_path / "own-cluster.yaml"
    environment = {
        **os.environ,
        "HOME": str(lab.home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(ROOT),
    }
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE"):  # the token is in the file that is sent
        environment.pop(name, None)

    def run(*command, check=True, timeout=300):
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert not check or ended.returncode == 0, f"{command}: {ended.stdout[-4000:]}"
        return ended

    out = lab.shared / "results"
    values = {
        "own-cluster.yaml": str(file),
        "10.0.0.1,10.0.0.2,10.0.0.3": ",".join(host.ip for host in lab.hosts),
        "--user ada": f"--user root --key {lab.key} --to {file}",
        "/nfs/results": str(out),
        " results/": f" {tmp_path}/down/",
        "ray up": "ray up -y",
        "ray down": "ray down -y",
        "--synthetic": SMALL,
    }
    write, make_token, up, search, fetch, down = commands_of_page(values)
    run("bash", "-c", write)
    config = yaml.safe_load(file.read_text())
    one_cpu = {"head": "--head --num-cpus=0", "worker": "--num-cpus=1"}
    for role, options in one_cpu.items():
        name = f"{role}_start_ray_commands"
        config[name] = [
            line.replace(
                "ray start --head" if role == "head" else "ray start", f"ray start {options}"
            )
            for line in config[name]
        ]
    file.write_text(yaml.safe_dump(config))
    run("bash", "-c", make_token)
    try:
        run("bash", "-c", up)
        _wait_for_nodes(lambda: run("ray", "exec", str(file), "ray status").stdout, workers=2)

        refused = f"import ray; ray.init(address='{lab.hosts[0].ip}:6379', log_to_driver=False)"
        environment["RAY_AUTH_MODE"] = "disabled"
        ended = run(sys.executable, "-c", refused, check=False)
        assert ended.returncode and "auth" in ended.stdout.lower(), ended.stdout[-2000:]
        environment["RAY_AUTH_MODE"] = "token"

        with _tunnel(file, environment, 8265, tmp_path / "tunnel") as url:
            with pytest.raises(HTTPError, match="401"):
                urlopen(f"{url}/api/jobs/", timeout=60)
            submit = ["ray", "job", "submit", "--address", url, "--working-dir", "."]
            said = run(*submit, "--", *SMOKE).stdout
            assert "succeeded" in said and f"files: {out}" in said, said[-4000:]
        reports = [path.read_text().splitlines() for path in out.rglob("result.json")]
        places = {json.loads(line)["node_ip"] for lines in reports for line in lines}
        assert places == {host.ip for host in lab.hosts[1:]}
        with _tunnel(file, environment, 6006, tmp_path / "tunnel") as url:
            runs = urlopen(f"{url}/data/runs", timeout=60).read().decode()
            assert "i_darec/tune" in runs, runs

        log = tmp_path / "log"
        with _started(["bash", "-c", search], environment, log) as driver:
            _wait_for_checkpoints(driver, out / STUDY, log)
            lab.hosts[2].kill()
            assert driver.wait(timeout=300) == 0, log.read_text()[-4000:]
        with (out / STUDY / "trials.csv").open() as table:
            rows = list(csv.DictReader(table))
        assert len(rows) == 3
        assert {row["ended"] for row in rows} <= {"completed", "stopped early", "stalled"}
        failed = [row["failures"] for row in rows if row["failures"]]
        assert nodes_lost(failed) == len(failed) > 0, failed
        run("bash", "-c", fetch)
        assert (tmp_path / "down" / STUDY / "best.safetensors").is_file()
    finally:
        ended = run("bash", "-c", down, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
    left = run(
        "ssh",
        *hosts.OPTIONS,
        "-i",
        str(lab.key),
        f"root@{lab.hosts[0].ip}",
        "pgrep raylet",
        check=False,
    )
    assert not left.stdout.strip(), left.stdout


@contextmanager
def _started(command, environment, log):
    """Run a command beside the test, and end it and all that it started with the test."""
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


@contextmanager
def _tunnel(file, environment, port, log):
    """Forward a port of this machine to a port of the head; return the local address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = str(probe.getsockname()[1])
    command = ["ray", "dashboard", str(file), "--port", here, "--remote-port", str(port)]
    deadline = time.monotonic() + 60
    with _started(command, environment, log) as tunnel:
        while True:
            try:
                urlopen(f"http://127.0.0.1:{here}/", timeout=10)
                break
            except HTTPError:
                break
            except OSError:
                assert tunnel.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{here}"


def _wait_for_nodes(status, workers):
    deadline = time.monotonic() + 240
    while f"/{workers}.0 CPU" not in (said := status()):
        assert time.monotonic() < deadline, said
        time.sleep(3)


def _wait_for_checkpoints(search, study, log):
    deadline = time.monotonic() + 240
    while len({path.parent for path in study.glob("tune/*/checkpoint_*")}) < 2:
        assert search.poll() is None and time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.5)
