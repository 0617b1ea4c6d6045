import pytest

from darec.errors import UserError
from darec.tuning.cluster.shares import (
    Slots,
    Wanted,
    checkpoints,
    gpu_share,
    slots,
)


def joined(cpus=1.0, gpus=None, at_once=None):
    """What is asked for of a cluster that existed before."""
    return Wanted(cpus, gpus, at_once, joined=True)


def test_a_trial_takes_the_share_of_a_gpu_that_its_memory_needs():
    gib = 2**30
    assert gpu_share(trial_bytes=gib, gpu_bytes=16 * gib) == 0.125
    assert gpu_share(trial_bytes=5 * gib, gpu_bytes=16 * gib) == 0.5  # 3 leave too little room
    assert gpu_share(trial_bytes=40 * gib, gpu_bytes=16 * gib) == 1.0
    assert gpu_share(trial_bytes=2 * gib, gpu_bytes=16 * gib) == 0.1428  # seven fit as Ray counts


def test_a_trial_that_never_fits_is_refused_at_once(cluster):
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit on one node .* but got 1"):
        slots(Wanted(1.0, 1.0), 4, 0)
    with pytest.raises(UserError, match=r"--cpus-per-trial must fit .*has 2.* but got 64"):
        slots(Wanted(64.0), 4, 0)
    assert slots(Wanted(1.0), 9, 0).concurrent == 2


def test_no_more_trials_run_at_once_than_are_asked_for(cluster):
    assert slots(Wanted(0.1), 50, 0).concurrent == 20
    assert slots(Wanted(0.1, at_once=3), 50, 0).concurrent == 3
    assert slots(Wanted(1.0, at_once=3), 50, 0).concurrent == 2
    assert slots(Wanted(0.1), 5, 0).concurrent == 5


GROWS = """
head_node_type: head
max_workers: 3
available_node_types:
  head: {resources: {CPU: 0}}
  gpu: {resources: {CPU: 4, GPU: 1}, max_workers: 2}
"""


def test_what_the_autoscaler_may_add_counts_and_no_more(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("darec.tuning.cluster.preflight.BOOTSTRAP", tmp_path / "config.yaml")
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit on one node .*has 0.*got 1"):
        slots(joined(gpus=1.0), 9, 0)
    (tmp_path / "config.yaml").write_text(GROWS)
    assert slots(joined(gpus=0.25), 50, 0) == Slots(1.0, 0.25, 8)
    assert slots(joined(), 50, 2**30) == Slots(1.0, 0.125, 8, 2**30)
    assert slots(joined(gpus=0.25), 3, 0).concurrent == 3
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit .*has 1.* but got 2"):
        slots(joined(gpus=2.0), 9, 0)
    (tmp_path / "config.yaml").unlink()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert slots(joined(gpus=1.0), 50, 0).concurrent == 5


def test_workers_that_are_up_are_not_still_to_come(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(GROWS)
    monkeypatch.setattr("darec.tuning.cluster.preflight.BOOTSTRAP", tmp_path / "config.yaml")
    head, worker = {"CPU": 0.0}, {"CPU": 4.0, "GPU": 1.0, "memory": 1e9}
    for n_up in range(3):
        nodes = [{"Alive": True, "Resources": each} for each in (head, *n_up * [worker])]
        monkeypatch.setattr("darec.tuning.cluster.shares.ray.nodes", lambda nodes=nodes: nodes)
        assert slots(joined(gpus=0.25), 50, 0).concurrent == 8


def test_as_many_trials_run_at_once_as_the_memory_of_each_node_holds(monkeypatch, caplog):
    gib = 2**30
    small, large = {"CPU": 64.0, "memory": 8.0 * gib}, {"CPU": 2.0, "memory": 100.0 * gib}
    nodes = [{"Alive": True, "Resources": each} for each in (small, large)]
    monkeypatch.setattr("darec.tuning.cluster.shares.ray.nodes", lambda: nodes)
    assert slots(Wanted(), 100, 3 * gib) == Slots(1.0, 0.0, 2 + 2, 3 * gib)
    assert slots(Wanted(), 100, gib // 8).concurrent == 64 + 2
    assert slots(Wanted(4.0), 100, 7 * gib) == Slots(4.0, 0.0, 1, 7 * gib)
    assert not caplog.text
    share = slots(Wanted(4.0), 100, 9 * gib)  # an upper bound: it may do with less
    assert share == Slots(4.0, 0.0, 1, 8 * gib)
    assert "may need 9.0 GiB of memory, but the largest node has 8.0 GiB" in caplog.text


def test_a_node_type_that_does_not_say_its_memory_counts(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(GROWS)
    monkeypatch.setattr("darec.tuning.cluster.preflight.BOOTSTRAP", tmp_path / "config.yaml")
    head = [{"Alive": True, "Resources": {"CPU": 0.0, "memory": 1e9}}]
    monkeypatch.setattr("darec.tuning.cluster.shares.ray.nodes", lambda: head)
    assert slots(joined(gpus=0.25), 50, 2**33) == Slots(1.0, 0.25, 8, 2**33)


def test_checkpoints_hold_moments_and_the_best_weights_but_a_whole_fit_has_one_without_moments():
    trained = checkpoints(1000, kept=4, whole_fit=False)
    assert trained.of_trial == 3 * 16_000 and trained.bytes_of(2) == 4 * 48_000 + 4 * 16_000
    fitted = checkpoints(1000, kept=4, whole_fit=True)
    assert fitted.of_trial == 8000 and fitted.bytes_of(2) == 8 * 8000
    paused = checkpoints(1000, kept=4, whole_fit=True, paused=2)
    assert paused.bytes_of(2) == (4 + 4 + 4) * 8000


def test_as_many_trials_run_at_once_as_the_disk_has_room_for():
    own = checkpoints(1000, kept=4, whole_fit=False)
    assert [own.at_once(free) for free in (0, own.bytes_of(3) - 1, own.bytes_of(3))] == [1, 2, 3]
    assert checkpoints(0, kept=4, whole_fit=False).at_once(float("inf")) == 2**31
