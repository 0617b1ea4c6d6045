import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray

from darec.reporter import StudyView, TrialView
from darec.tuning.study import progress
from darec.tuning.study.progress import StudyProgress, shows_nothing
from darec.tuning.study.run import run_study
from darec.tuning.trial.names import METRIC
from tests.reporting import Recorder, printed


def trial(name, status="RUNNING", best=None, seconds=0.0, **config):
    result = {"time_total_s": seconds}
    if best is not None:
        result |= {METRIC: best, "valid_rmse": best + 0.1, "epoch": 3}
    finished = status in ("TERMINATED", "ERROR")
    return SimpleNamespace(
        trial_id=name,
        status=status,
        last_result=result,
        config=config,
        is_finished=lambda: finished,
    )


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.0)
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_view_has_the_best_trial_the_running_ones_and_how_the_others_ended(clock):
    views = []
    shown = StudyProgress("u_x", ["hidden", "autorec/rate"], 4, to_beat={"bias": 0.95}, part=(3, 3))
    shown.show_through(views.append, {"a": "stalled", "f": "failed"}.get)
    trials = [
        trial("a", "TERMINATED", 0.9, hidden=10, autorec={"rate": 0.00123456}, fixed=1),
        trial("b", "RUNNING", 0.8, hidden=20, autorec={"rate": 0.5}),
        trial("c", "PENDING"),
        trial("f", "ERROR"),
    ]
    clock.now += 7.0
    shown.report(trials, done=False)
    (view,) = views
    best = TrialView("b", 3, 0.8, "hidden=20 autorec/rate=0.5")
    assert view == StudyView(
        title="u_x",
        trials=4,
        ended={"stalled": 1, "failed": 1},
        running=[best],
        best=best,
        measure="RMSE",
        to_beat={"bias": 0.95},
        spent_s=7.0,
        left_s=None,
        an_hour=None,
        part=(3, 3),
    )
    assert view.n_ended == 2
    assert (
        view.in_a_line == "u_x (study 3 of 3): 2 of 4 trials, "
        "best validation RMSE 0.8000 (bias 0.9500), 7 s spent"
    )


def test_the_time_left_follows_the_pace_of_this_run_and_counts_parts_of_trials(clock):
    shown = StudyProgress("x", [], 10)
    shown.show_through(shows_nothing, str)
    old = [trial("a", "TERMINATED", 1.0, seconds=8.0)]
    assert shown.view(old).left_s is None  # it ended in an earlier run
    clock.now += 25.0
    ended = [*old, *(trial(f"t{n}", "TERMINATED", 1.0, seconds=8.0) for n in range(2))]
    view = shown.view([*ended, trial("r", best=1.0, seconds=4.0), trial("n")])
    # 2 + 1/2 trials in 25 s; of the 9 of this run 6.5 are left
    assert view.left_s == pytest.approx(65.0)
    assert view.an_hour == pytest.approx(360.0)
    assert "65 s left" in view.in_a_line


def test_before_the_first_epoch_trials_are_only_counted():
    view = StudyProgress("x", [], 4).view([trial("a"), trial("b", "PENDING")])
    assert view.best is None and view.left_s is None and len(view.running) == 1
    assert view.in_a_line == "x: 0 of 4 trials, 0 s spent"


def test_a_view_comes_at_once_then_every_second_and_at_the_end(clock):
    shown = StudyProgress("x", [], 4)
    assert shown.should_report([])
    shown.report([trial("a")], done=False)
    clock.now += 0.9
    assert not shown.should_report([]) and shown.should_report([], done=True)
    clock.now += 0.1
    assert shown.should_report([])


def test_it_is_pickled_without_its_display_and_takes_another():
    lock, before, after = threading.Lock(), [], []

    def show(view):
        with lock:
            before.append(view)

    shown = StudyProgress("x", ["hidden"], 4)
    shown.show_through(show, str)
    with pytest.raises(TypeError, match="pickle"):
        ray.cloudpickle.dumps(show)
    again = ray.cloudpickle.loads(ray.cloudpickle.dumps(shown))
    again.report([trial("a", best=0.9, hidden=10)], done=True)
    assert not before and not after
    again.show_through(after.append, str)
    assert again.should_report([])
    again.report([trial("a", best=0.9, hidden=10)], done=True)
    assert [view.best.drawn for view in after] == ["hidden=10"] and not before


def test_a_running_study_tells_its_reporter_and_prints_nothing(study, settings, capfd):
    told = Recorder()
    to_beat = {"bias": 0.95}
    three = replace(study, trials=3, to_beat=to_beat)
    rows = run_study(three, replace(settings, reporter=told), resume=False)
    assert printed(capfd) == []
    view = told.views[-1]
    assert view.n_ended == view.trials == 3 and not view.running
    assert sorted(view.ended) == sorted({row.ended for row in rows})
    assert view.best.name == rows[0].trial_id
    assert view.best.error == rows[0].best_valid_rmse
    drawn = view.best.drawn.split()
    assert [word.partition("=")[0] for word in drawn] == list(study.space)
    assert view.to_beat == to_beat
    (line,) = told.lines[-1:]
    assert line.startswith("  trials     ")
    again = Recorder()  # a resumed study shows its progress through the new reporter
    run_study(replace(study, trials=3), replace(settings, reporter=again), resume=True)
    assert again.views[-1].n_ended == 3 and not printed(capfd)
