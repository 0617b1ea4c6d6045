"""A running study on a terminal and elsewhere, and the results of a command for a program."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from darec import reporter as reporters
from darec.cli.console import Answers, ConsoleReporter, set_up
from darec.cli.live import MOST_RUNNING, block
from darec.reporter import LogReporter, StudyView, TrialView, duration

VIEW = StudyView(
    title="i_autorec, stage 1 on the target",
    trials=50,
    ended={"stopped early": 12, "completed": 8, "failed": 1},
    running=[TrialView("0021", 12, 0.9644), TrialView("0022", 0, float("nan"))],
    best=TrialView("0007", 41, 0.9623, "hidden=300 " + "alpha=0.00312 " * 20),
    measure="RMSE",
    to_beat={"bias": 0.9735},
    spent_s=92.0,
    left_s=130.0,
    an_hour=900.0,
)


def drawn(view, width):
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(block(view))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_block_fits_the_terminal(width):
    lines = drawn(VIEW, width)
    assert len(lines) == 7 and max(map(len, lines)) <= width
    assert lines[0] == VIEW.title
    assert "21 of 50 trials, 92 s" in lines[1] and "━" in lines[1]
    assert lines[2] == "best    RMSE 0.9623, trial 0007 (bias 0.9735)"
    assert lines[3].startswith("        hidden=300 alpha=0.00312") and lines[3].endswith("…")
    assert lines[4] == "running trial 0021, epoch 12, RMSE 0.9644"
    assert lines[5] == "        trial 0022, before its first report"
    assert lines[6] == "ended   12 stopped early, 8 completed, 1 failed"
    if width > 80:
        assert lines[1].endswith("21 of 50 trials, 92 s, about 2 min left, 900 an hour")


def test_a_search_of_several_studies_has_a_bar_over_all_of_them():
    view = replace(VIEW, part=(2, 3))
    lines = drawn(view, 80)
    assert lines[0] == "i_autorec, stage 1 on the target (study 2 of 3)" and len(lines) == 8
    assert lines[1].endswith(" all 3 studies") and "21 of 50 trials" in lines[2]
    assert view.share_done == pytest.approx((1 + 21 / 50) / 3)
    assert view.in_a_line.startswith("i_autorec, stage 1 on the target (study 2 of 3): 21 of 50")


def test_the_block_before_the_first_epoch_and_with_many_trials():
    many = [TrialView(f"{n:04}", 1, 1.0) for n in range(MOST_RUNNING + 3)]
    none = replace(VIEW, ended={}, running=many, best=None, left_s=None, an_hour=None)
    lines = drawn(none, 80)
    assert lines[2] == "best    no epoch yet (bias 0.9735)" and lines[-1].strip() == "and 3 more"
    assert "left" not in lines[1] and "hour" not in lines[1]


@pytest.mark.parametrize("kind", [ConsoleReporter, LogReporter])
def test_without_a_terminal_a_study_is_a_short_line_now_and_then(kind, capsys, caplog, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(reporters, "time", clock)
    caplog.set_level("INFO", "darec")
    with kind().study() as show:
        for clock.now in range(0, 100, 7):
            show(VIEW)
    told = [*capsys.readouterr().out.splitlines(), *caplog.messages]
    assert told == [VIEW.in_a_line] * 2  # after 35 and 70 s
    assert len(VIEW.in_a_line) < 160


def test_on_a_terminal_the_block_is_drawn_and_goes(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ConsoleReporter().study() as show:
        show(VIEW)
        show(replace(VIEW, spent_s=95.0))
    out = capsys.readouterr().out
    assert "95 s" in out and out.endswith("\x1b[2K")


def test_durations():
    assert list(map(duration, (0.4, 99, 100, 3600, 7500))) == [
        "0 s",
        "99 s",
        "2 min",
        "60 min",
        "2 h 05 min",
    ]


def test_answers_are_lines_or_one_json_object(capsys, tmp_path):
    for as_json, out in (
        (False, "bias: 0.9\n"),
        (True, '{"results": [{"n": 3, "x": 0.5, "path": "' + str(tmp_path) + '"}, {"n": 1}]}\n'),
    ):
        answers = Answers(as_json)
        answers.answer({"n": np.int64(3), "x": np.float32(0.5), "path": tmp_path}, "bias: 0.9")
        answers.answer({"n": 1})
        answers.line("not shown")
        answers.end()
        assert capsys.readouterr().out == out
    assert isinstance(set_up(False, True, False), Answers)
    assert isinstance(set_up(False, False, True), Answers)
    told = set_up(True, False, False)
    told.answer({"n": 1}, "line")
    told.end()
    assert isinstance(told, ConsoleReporter) and capsys.readouterr().out == ""
    assert json.loads(out)["results"][1] == {"n": 1}
