import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem
from ray.tune.experiment.trial import Trial

from darec.errors import UserError
from darec.provenance import Build, versions
from darec.tuning.cluster.shares import Slots
from darec.tuning.study import halt as halting
from darec.tuning.study.halt import IDLE_S, CodeWatch, DiskWatch, Halt, IdleWatch
from darec.tuning.study.run import run_study
from tests.tuning.trials import failed


@pytest.fixture
def signals(monkeypatch):
    """The signals that a halt sends, which do not arrive."""
    sent = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    return sent


def test_the_first_reason_of_a_halt_counts_and_a_new_run_begins_without_one(signals):
    halt = Halt()
    halt.because("first")
    halt.because("second")
    assert halt.reason == "first" and signals == [signal.SIGINT]
    halt.setup()
    assert not halt.reason
    halt.because("third")
    assert halt.reason == "third" and signals == [signal.SIGINT] * 2


def test_trials_that_all_wait_for_long_halt_a_study(signals, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(halting, "time", clock)
    halt = Halt()
    node = {"Alive": True, "Resources": {"CPU": 1.0}}
    monkeypatch.setattr("darec.tuning.cluster.preflight.ray.nodes", lambda: [node])
    watch = IdleWatch(halt, Slots(2.0, 0.0, 1))
    waiting, running = SimpleNamespace(status=Trial.PENDING), SimpleNamespace(status=Trial.RUNNING)
    ended = SimpleNamespace(status=Trial.TERMINATED)
    for seconds, trials in (
        (IDLE_S, [waiting]),
        (1.0, [waiting, running]),
        (IDLE_S, [waiting, ended]),
        (1.0, [ended]),  # nothing waits
        (IDLE_S, [waiting]),
    ):
        clock.now += seconds
        watch.on_step_end(0, trials)
        assert not halt.reason, (seconds, trials)
    clock.now += IDLE_S
    watch.setup()  # a new run waits anew
    watch.on_step_end(0, [waiting])
    assert not halt.reason
    clock.now += IDLE_S + 1
    watch.on_step_end(0, [waiting])
    assert halt.reason == "no trial could run for 1800 s: the cluster has no room for a trial"


def test_trials_wait_for_other_work_on_the_cluster(signals, monkeypatch, caplog):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(halting, "time", clock)
    node = {"Alive": True, "Resources": {"CPU": 2.0}}
    monkeypatch.setattr("darec.tuning.cluster.preflight.ray.nodes", lambda: [node])
    halt = Halt()
    watch = IdleWatch(halt, Slots(2.0, 0.0, 1, memory=100))
    for _ in range(3):
        clock.now += IDLE_S + 1
        watch.on_step_end(0, [SimpleNamespace(status=Trial.PENDING)])
    told = "no trial could run for 1800 s: other work has the cluster"
    assert [record.message for record in caplog.records] == [told] * 3 and not halt.reason
    node["Resources"]["memory"] = 99.0
    clock.now += IDLE_S + 1
    watch.on_step_end(0, [SimpleNamespace(status=Trial.PENDING)])
    assert "no room for a trial" in halt.reason


def test_a_node_with_other_code_halts_a_study_and_other_errors_do_not(signals, tmp_path):
    for look in ("on_trial_recover", "on_trial_error"):
        halt = Halt()
        watch = CodeWatch(halt)
        getattr(watch, look)(0, [], failed("ValueError: no", tmp_path))
        assert not halt.reason
        told = "darec.tuning.trial.trainable.OtherCodeError: node a runs other darec code"
        getattr(watch, look)(0, [], failed(told, tmp_path))
        assert halt.reason == "node a runs other darec code"


def test_a_full_disk_halts_a_study_and_a_full_disk_elsewhere_does_not(
    signals, tmp_path, monkeypatch
):
    for free, words, halted in (
        (10, "OSError: [Errno 28] No space left on device", True),
        (2**40, "OSError: [Errno 28] No space left on device", False),
        (10, "ValueError: no", False),
    ):
        halt, trial = Halt(), failed(words, tmp_path)
        place = tmp_path, LocalFileSystem(), str(tmp_path)
        monkeypatch.setattr(halting, "snapshot_place", lambda trial, place=place: place)
        usage = SimpleNamespace(disk_usage=lambda path, free=free: SimpleNamespace(free=free))
        monkeypatch.setattr(halting, "shutil", usage)
        DiskWatch(halt).on_trial_recover(0, [], trial)
        assert halt.reason == ("No space left on device" if halted else "")


def test_a_node_with_other_code_halts_the_search_until_it_is_mended(study, settings, monkeypatch):
    with monkeypatch.context() as patch:
        other = Build("the driver's", versions())
        patch.setattr("darec.tuning.study.tuner.this_build", lambda: other)
        words = r"node .* runs other darec code than the driver; fix the cause"
        with pytest.raises(UserError, match=words):
            run_study(study, settings, resume=False)
    rows = run_study(study, settings, resume=True)
    assert {row.ended for row in rows} <= {"completed", "stopped early", "stalled"}
    assert len(rows) == study.trials


def test_a_search_that_waits_in_vain_for_a_node_says_so(study, settings, monkeypatch):
    monkeypatch.setattr(halting, "IDLE_S", 3.0)
    gpus = replace(settings, slots=Slots(1.0, 1.0, 2))
    with pytest.raises(UserError, match="no trial could run for 3 s: the cluster has no room"):
        run_study(study, gpus, resume=False)
