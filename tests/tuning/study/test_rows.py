import math
from types import SimpleNamespace

from darec.tuning.study import rows as study_rows
from darec.tuning.study.accounts import Outcomes, Usage
from darec.tuning.study.rows import TrialRow, summary_lines, trial_rows


def result(name, **metrics):
    return SimpleNamespace(path=f"/out/tune/{name}", metrics=metrics, checkpoint=None)


def test_trials_are_sorted_by_their_best_epoch_and_keep_what_is_known_of_them(monkeypatch):
    configs = [{"hidden": 1}, {"hidden": 2}, {"autorec": {"hidden": 3}}, {"hidden": 4}]
    monkeypatch.setattr(study_rows, "configs_of", lambda grid: configs)
    outcomes, usage = Outcomes(max_epochs=9), Usage()
    outcomes.ended = {"good": "completed", "best": "completed", "lost": "failed"}
    outcomes.failures = {"lost": ["its node has died", "ValueError: no"]}
    usage.seconds = {"best": (3.0, 1.5)}
    grid = [
        result("good", epoch=4, best_epoch=2, best_valid_rmse=0.7, objective=0.9),
        result(
            "diverged",
            epoch=1,
            best_epoch=0,
            best_valid_rmse=0.1,
            objective=0.1,
            reason="diverged: nan",
        ),
        result(
            "best",
            epoch=4,
            best_epoch=4,
            best_valid_rmse=0.8,
            objective=0.8,
            time_total_s=2.0,
            note="n",
        ),
        result("lost"),
    ]
    rows = trial_rows(grid, outcomes, usage)
    assert [row.trial_id for row in rows] == ["best", "good", "diverged", "lost"]
    best, good, diverged, lost = rows
    assert (best.seconds, best.cpu_s, best.gpu_s, best.note) == (2.0, 3.0, 1.5, "n")
    assert best.config == {"autorec/hidden": 3} and best.ended == good.ended == "completed"
    assert diverged.ended == "diverged: nan" and good.stage1_valid_rmse is None
    assert lost.ended == "failed" and lost.failures == ("its node has died", "ValueError: no")
    assert math.isinf(lost.best_valid_rmse) and lost.epochs == lost.best_epoch == 0


def row(name, ended, **more):
    return TrialRow(name, ended, 4, 2, 0.9, {}, **more)


def test_a_summary_counts_ends_and_costs_and_names_failures_and_notes():
    lines = summary_lines(
        [
            row("a", "completed", cpu_s=3600.0),
            row("b", "completed", cpu_s=1800.0, gpu_s=720.0, failures=("a", "ValueError: no")),
            row("c", "diverged: loss is nan", note="went on from checkpoint_000000: damaged"),
            row("d", "failed", failures=("OSError: disk",)),
        ]
    )
    assert lines == [
        "  trials     2 completed, 1 diverged, 1 failed; 1.5 CPU hours, 0.2 GPU hours",
        "  failure    trial b failed 2 times and was started again: ValueError: no",
        "  note       trial c went on from checkpoint_000000: damaged",
        "  failure    trial d failed 1 times and was given up: OSError: disk",
    ]
