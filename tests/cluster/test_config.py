from importlib.metadata import requires
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from darec.api import own_cluster
from darec.provenance import LIBRARIES

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


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


def test_three_lines_are_marked_set_and_pyproject_allows_the_pinned_releases():
    text = CLUSTER.read_text()
    assert sum(line.split("#")[-1].strip().startswith("SET") for line in text.splitlines()) == 3
    pins = [Requirement(word) for word in text.split() if "==" in word]
    allowed = {rule.name: rule for rule in map(Requirement, requires("darec"))}
    assert {pin.name for pin in pins} == set(LIBRARIES) - {"ray"}
    for pin in pins:
        (release,) = pin.specifier
        assert allowed[pin.name].specifier.contains(release.version), pin


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
