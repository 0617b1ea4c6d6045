from dataclasses import replace

import pytest

from darec import provenance
from darec.errors import UserError
from darec.provenance import code_digest, versions
from darec.tuning import preflight
from darec.tuning.cluster.preflight import Node, check_cluster, check_disk

HERE = Node("here", versions(), code_digest(), sees_results=True)


@pytest.mark.slow
def test_a_cluster_of_this_code_passes_and_leaves_nothing_behind(cluster, tmp_path):
    check_cluster(str(tmp_path), cpus=1.0, gpus=0.0, report=print)
    assert not list(tmp_path.iterdir())


def test_a_node_sees_the_drivers_file_or_does_not(tmp_path):
    for storage in (str(tmp_path / "a"), f"file://{tmp_path}/b"):
        with preflight._marked(storage) as mark:
            assert preflight.look(mark).sees_results
        assert not preflight.look(mark).sees_results


@pytest.mark.slow
def test_a_share_that_no_node_can_give_is_waited_for_and_then_refused(
    cluster, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(preflight, "GROW_S", 2.0)
    with pytest.raises(UserError, match="the autoscaler's next node gave no answer within 2 s"):
        check_cluster(str(tmp_path), cpus=1.0, gpus=1.0, report=print)
    assert "waiting for a node with 1 CPU and 1 GPU" in capsys.readouterr().out


@pytest.mark.slow
def test_a_node_with_other_code_is_told(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "code_digest", lambda: "the driver's")
    with pytest.raises(UserError, match=r"its darec is another; .* send it again"):
        check_cluster(str(tmp_path), cpus=1.0, gpus=0.0, report=print)


def test_a_node_with_another_library_or_without_the_results_is_told(tmp_path):
    preflight._check(HERE, "out")
    patched = {**versions(), "python": ".".join([*versions()["python"].split(".")[:2], "99"])}
    preflight._check(replace(HERE, versions=patched), "out")
    with pytest.raises(UserError, match=r"node here: torch is 1\.0 there and .* here; every node"):
        preflight._check(replace(HERE, versions={**versions(), "torch": "1.0"}), "out")
    with pytest.raises(UserError, match=r"node here does not see --out.*s3://.*: out"):
        preflight._check(replace(HERE, sees_results=False), "out")


def test_a_full_disk_is_told_before_the_search(tmp_path):
    check_disk(tmp_path, need=1)
    with pytest.raises(UserError, match=r"GiB are free, but .* may need 1048576\.0 GiB"):
        check_disk(tmp_path, need=2**50)
