from pathlib import Path

import yaml

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


def test_cluster_yaml_passes_rays_own_schema():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(CLUSTER.read_text())
    validate_config(prepare_config(config))


def test_nothing_listens_to_the_world_and_nodes_ask_for_a_token():
    config = yaml.safe_load(CLUSTER.read_text())
    head, worker = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    assert "--dashboard-host=127.0.0.1" in head
    assert all("RAY_AUTH_MODE=token" in command for command in (head, worker))


def test_all_code_is_sent_to_the_nodes():
    """An rsync pattern without a leading slash leaves out folders at any depth: darec/data, say."""
    excluded = yaml.safe_load(CLUSTER.read_text())["rsync_exclude"]
    assert all(pattern.startswith("/") and "*" not in pattern for pattern in excluded)
    code = {"darec", "search_spaces", "jobs", "pyproject.toml", "README.md"}
    assert not code & {pattern.strip("/").split("/")[0] for pattern in excluded}
