import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from darec.api import own_cluster

ROOT = Path(__file__).parents[2]
CLUSTER, CONSTRAINTS = ROOT / "cluster.yaml", ROOT / "constraints.txt"


def test_ray_accepts_cluster_yaml():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(CLUSTER.read_text())
    validate_config(prepare_config(config))


def test_pages_listen_on_the_head_alone_and_nodes_ask_for_a_token():
    config = yaml.safe_load(CLUSTER.read_text())
    starts = {role: config[f"{role}_start_ray_commands"] for role in ("head", "worker")}
    rays = [line for lines in starts.values() for line in lines if "ray start" in line]
    assert len(rays) == 2 and all("RAY_AUTH_MODE=token" in line for line in rays)
    assert "--dashboard-host=127.0.0.1" in rays[0]
    (board,) = (line for line in starts["head"] if "tensorboard --logdir" in line)
    assert "--host 127.0.0.1" in board


def test_three_lines_are_marked_set():
    text = CLUSTER.read_text()
    assert sum(line.split("#")[-1].strip().startswith("SET") for line in text.splitlines()) == 3


def test_nodes_install_one_release_of_every_dependency():
    config = yaml.safe_load(CLUSTER.read_text())
    installs = [
        command
        for commands in (config["setup_commands"], config["head_setup_commands"])
        for command in commands
        if command.startswith("pip")
    ]
    assert installs and all("-c /home/ray/darec/constraints.txt " in each for each in installs)
    pins = {pin.name: pin for pin in map(Requirement, CONSTRAINTS.read_text().splitlines()[1:])}
    assert all(str(pin.specifier).startswith("==") for pin in pins.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for rule in map(Requirement, project["dependencies"] + extras["aws"] + extras["baselines"]):
        if rule.name != "ray":  # it comes with the image
            (release,) = pins[rule.name].specifier
            assert rule.specifier.contains(release.version), rule


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.platform != "linux", reason="the nodes have Python 3.11"
)
def test_constraints_name_every_dependency_of_every_dependency():
    made = subprocess.check_output([sys.executable, ROOT / ".ci" / "constraints"], text=True)
    needed, pinned = (
        dict(row.split("==") for row in text.splitlines()[1:])
        for text in (made, CONSTRAINTS.read_text())
    )
    if any(Version(needed[name]) < Version(pinned[name]) for name in needed.keys() & pinned.keys()):
        pytest.skip("older releases than the nodes' are installed, which may need other packages")
    assert len(needed) > 50 and needed.keys() <= pinned.keys()


def test_ray_up_sends_nothing_from_another_folder_than_the_checkout(tmp_path, monkeypatch):
    from ray.autoscaler._private.util import hash_runtime_conf

    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("token")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    mounts = yaml.safe_load(CLUSTER.read_text())["file_mounts"]
    with pytest.raises(FileNotFoundError, match="search_spaces"):
        hash_runtime_conf(mounts, None, "another folder")  # `ray up` does so before it sends
    (tmp_path / "search_spaces").mkdir()
    hash_runtime_conf(mounts, None, "a checkout")


@pytest.mark.parametrize(("program", "ended"), [("tensorboard", True), ("another", False)])
def test_only_a_tensorboard_is_ended_when_ray_starts_again(tmp_path, program, ended):
    """The process whose number the file has may be another by now."""
    starts = yaml.safe_load(CLUSTER.read_text())["head_start_ray_commands"]
    (board,) = (line for line in starts if "tensorboard --logdir" in line)
    ending, _, _ = board.partition("; ")
    process = subprocess.Popen(["bash", "-c", "sleep 60; exit 0", program])
    (tmp_path / "tensorboard.pid").write_text(f"{process.pid}\n")
    subprocess.run(["bash", "-c", ending], env={**os.environ, "HOME": str(tmp_path)})
    try:
        assert ended == (process.wait(0.5) != 0)
    except subprocess.TimeoutExpired:
        assert not ended
    finally:
        process.kill()


def test_ray_up_sends_all_code_to_the_nodes():
    """Without a leading slash, rsync would exclude a folder at any depth, such as darec/data."""
    excluded = yaml.safe_load(CLUSTER.read_text())["rsync_exclude"]
    assert all(pattern.startswith("/") and "*" not in pattern for pattern in excluded)
    code = {"darec", "search_spaces", "jobs", "pyproject.toml", "README.md"}
    assert not code & {pattern.strip("/").split("/")[0] for pattern in excluded}


def test_own_cluster_writes_its_out_also_if_cluster_yaml_was_edited(tmp_path, monkeypatch):
    edited = tmp_path / "cluster.yaml"
    edited.write_text(CLUSTER.read_text().replace("s3://YOUR-BUCKET/results", "s3://mine/r"))
    monkeypatch.setattr(own_cluster, "_shipped", lambda: edited)
    own, hosts = tmp_path / "own.yaml", ["10.0.0.1", "10.0.0.2"]
    own_cluster.write_cluster_file(hosts, "ada", "/nfs/results", to=own)
    written = own.read_text()
    assert "DAREC_OUT=/nfs/results'" in written and "s3://" not in written
    config = yaml.safe_load(written)
    assert config["provider"]["worker_ips"] == ["10.0.0.2"] and "/home/ada/darec" in written
