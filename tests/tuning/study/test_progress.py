import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray

from darec.reporter import SilentReporter
from darec.tuning.study import progress
from darec.tuning.study.progress import MOST_ROWS, StudyProgress
from darec.tuning.study.run import run_study
from darec.tuning.trial.names import METRIC
from tests.reporting import Recorder, printed


def trial(name, status="RUNNING", best=None, **config):
    result = {} if best is None else {METRIC: best, "valid_rmse": best + 0.1, "epoch": 3}
    return SimpleNamespace(trial_id=name, status=status, last_result=result, config=config)


def test_a_table_shows_the_best_trials_with_what_was_drawn(capfd):
    told = Recorder()
    progress = StudyProgress(told, ["hidden", "autorec/rate"], n_trials=4)
    trials = [
        trial("a", "TERMINATED", 0.9, hidden=10, autorec={"rate": 0.00123456}, fixed=1),
        trial("b", "RUNNING", 0.8, hidden=20, autorec={"rate": 0.5}),
        trial("c", "PENDING"),
    ]
    progress.report(trials, done=False)
    ((title, table),) = told.tables
    assert title.startswith("3 of 4 trials (1 pending, 1 running, 1 terminated) after 0 s")
    assert table.index.name == "trial" and list(table.index) == ["b", "a"]
    assert table.loc["a"].to_dict() == {
        "state": "terminated",
        "epoch": "3",
        "valid RMSE": "1.0000",
        "best": "0.9000",
        "hyper-parameters": "hidden=10 autorec/rate=0.00123",
    }
    assert not told.lines and capfd.readouterr() == ("", "")


def test_a_long_table_is_cut_to_its_best_trials():
    told = Recorder()
    trials = [trial(f"t{k}", best=1.0 + k) for k in range(MOST_ROWS + 5)]
    StudyProgress(told, [], 50).report(trials[::-1], done=False)
    ((title, table),) = told.tables
    assert title.startswith(f"{MOST_ROWS + 5} of 50 trials")
    assert list(table.index) == [f"t{k}" for k in range(MOST_ROWS)]


def test_before_the_first_epoch_trials_are_only_counted():
    told = Recorder()
    StudyProgress(told, [], 4).report([trial("a"), trial("b", "PENDING")], done=False)
    assert told.lines == ["2 of 4 trials (1 pending, 1 running) after 0 s"] and not told.tables


def test_a_table_comes_at_once_then_every_ten_seconds_and_at_the_end(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=5.0)
    monkeypatch.setattr(progress, "time", clock)
    shown = StudyProgress(Recorder(), [], 4)
    assert shown.should_report([])
    shown.report([trial("a")], done=False)
    clock.now = 14.0
    assert not shown.should_report([]) and shown.should_report([], done=True)
    clock.now = 15.0
    assert shown.should_report([])


class Bound(Recorder):
    """A reporter that cannot be pickled, as one that holds a terminal."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_it_is_pickled_without_its_reporter_and_takes_another():
    before, after = Bound(), Bound()
    with pytest.raises(TypeError, match="pickle"):
        ray.cloudpickle.dumps(before)
    shown = StudyProgress(before, ["hidden"], 4)
    again = ray.cloudpickle.loads(ray.cloudpickle.dumps(shown))
    assert isinstance(again._reporter, SilentReporter) and shown._reporter is before
    again.report([trial("a", best=0.9, hidden=10)], done=True)
    assert not before.tables and not after.tables
    again.show_through(after)
    assert again.should_report([])
    again.report([trial("a", best=0.9, hidden=10)], done=True)
    ((_, table),) = after.tables
    assert table.loc["a", "hyper-parameters"] == "hidden=10" and not before.tables


def test_a_running_study_tells_its_reporter_and_prints_nothing(study, settings, capfd):
    told = Bound()
    with_reporter = replace(settings, reporter=told)
    rows = run_study(replace(study, trials=3), with_reporter, resume=False)
    assert printed(capfd) == []
    title, table = told.tables[-1]
    assert title.startswith("3 of 3 trials (3 terminated) after ")
    assert set(table.index) == {row.trial_id for row in rows}
    assert float(table["best"].iloc[0]) == pytest.approx(rows[0].best_valid_rmse, abs=5e-5)
    drawn = table["hyper-parameters"].iloc[0].split()
    assert [word.partition("=")[0] for word in drawn] == list(study.space)
    (line,) = told.lines[-1:]
    assert line.startswith("  trials     ")
    again = Bound()  # a resumed study shows its progress through the new reporter
    run_study(replace(study, trials=3), replace(settings, reporter=again), resume=True)
    assert again.tables and not printed(capfd)
