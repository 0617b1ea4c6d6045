import re
from dataclasses import replace

import pytest

from darec import provenance
from darec.errors import UserError
from darec.provenance import this_build, versions
from darec.tuning.cluster import preflight
from darec.tuning.cluster.preflight import Node, check_cluster, check_disk

HERE = Node("here", this_build(), sees_results=True, gpu_fault="")


def test_a_cluster_of_this_code_passes_and_leaves_nothing_behind(cluster, tmp_path):
    check_cluster(str(tmp_path), cpus=1.0, gpus=0.0, report=print)
    assert not list(tmp_path.iterdir())


def test_a_node_sees_the_drivers_file_or_does_not(tmp_path):
    for storage in (str(tmp_path / "a"), f"file://{tmp_path}/b"):
        with preflight._marked(storage) as mark:
            assert preflight.look(mark).sees_results
        assert not preflight.look(mark).sees_results


def test_a_share_that_no_node_can_give_is_waited_for_and_then_refused(
    cluster, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(preflight, "GROW_S", 2.0)
    monkeypatch.setattr(preflight, "TELL_S", 1.0)
    bootstrap = tmp_path / "bootstrap.yaml"
    bootstrap.write_text("provider: {type: aws}")
    monkeypatch.setattr(preflight, "BOOTSTRAP", bootstrap)
    told = "the autoscaler brought no node with 1 CPU and 1 GPU within 2 s; `ray status`.*quota"
    with pytest.raises(UserError, match=told):
        check_cluster(str(tmp_path), cpus=1.0, gpus=1.0, report=print)
    said = capsys.readouterr().out
    assert (
        "waiting for a node with 1 CPU and 1 GPU" in said and "yet after 1 s; nodes up: 1" in said
    )


@pytest.mark.parametrize(
    ("built", "hip", "driver", "told"),
    [
        ("12.6", None, 12040, ""),
        ("12.6", None, 13000, ""),
        (None, "6.2", 0, ""),
        (None, None, 0, "is built without CUDA"),
        ("12.6", None, 0, "it has no NVIDIA driver"),
        ("13.0", None, 12080, "its NVIDIA driver is for CUDA 12.8, and its torch for CUDA 13.0"),
    ],
)
def test_a_torch_that_cannot_use_the_driver_is_reported(built, hip, driver, told, monkeypatch):
    monkeypatch.setattr(preflight.torch.version, "cuda", built)
    monkeypatch.setattr(preflight.torch.version, "hip", hip)
    monkeypatch.setattr(preflight, "driver_version", lambda: driver)
    fault = preflight.gpu_fault()
    assert told in fault and bool(told) == bool(fault)


def test_gpus_that_torch_cannot_use_are_refused_before_a_search(cluster, monkeypatch):
    preflight.check_gpus(1.0)  # no node has any
    (node,) = preflight.ray.nodes()
    node["Resources"]["GPU"] = 1.0
    monkeypatch.setattr(preflight.ray, "nodes", lambda: [node])
    preflight.check_gpus(0.0)
    with pytest.raises(UserError, match=r"node .* cannot use its GPUs: .*; install a torch that"):
        preflight.check_gpus(0.5)


def test_a_node_with_other_code_is_reported(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "code_digest", lambda: "the driver's")
    with pytest.raises(
        UserError, match=r"runs other darec code than the driver; send the code again"
    ):
        check_cluster(str(tmp_path), cpus=1.0, gpus=0.0, report=print)


def node_with(**releases):
    """Return a node with other releases of some libraries."""
    return replace(HERE, build=HERE.build._replace(versions={**versions(), **releases}))


def test_a_node_with_another_library_or_without_the_results_is_reported(tmp_path):
    preflight._check(HERE, "out")
    patched = ".".join([*versions()["python"].split(".")[:2], "99"])
    preflight._check(node_with(python=patched), "out")
    has, wanted = r"node here has torch 1\.0, and the driver has ", versions()["torch"]
    with pytest.raises(UserError, match=f"{has}{re.escape(wanted)}; send the code again"):
        preflight._check(node_with(torch="1.0"), "out")
    with pytest.raises(UserError, match=r"node here does not see --out.*s3://.*: out"):
        preflight._check(replace(HERE, sees_results=False), "out")


def test_a_full_disk_is_reported_before_the_search(tmp_path):
    check_disk(tmp_path, need=1)
    with pytest.raises(UserError, match=r"GiB are free, but .* may need 1048576\.0 GiB"):
        check_disk(tmp_path, need=2**50)
