"""Several searches share one budget of time."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

import darec
from darec.api import search_all as several
from tests.reporting import Recorder
from tests.winners import saved, winner_on

MODELS = ["mean", "bias", "shared_bias"]
OPTIONS = {"train": 90, "task": "warm", "cold_share": 20, "split": "random"}


@pytest.fixture
def searched(monkeypatch, tiny_pair, tmp_path):
    """Run `search_all` with searches that take so many seconds each; return their time budgets."""

    def run(seconds, models=MODELS, failing=(), **options):
        now, given, left = [100.0], [], list(seconds)

        def search(model, pair, *, time_budget=None, **_):
            given.append(time_budget)
            now[0] += left.pop(0)
            if model in failing:
                raise darec.UserError("no trial had a finite RMSE")
            return SimpleNamespace(finished=True)

        monkeypatch.setattr(several, "connected", lambda *_, **__: nullcontext())
        monkeypatch.setattr(several, "search", search)
        monkeypatch.setattr(several.time, "monotonic", lambda: now[0])
        asked = {**OPTIONS, "out": tmp_path, "reporter": Recorder(), **options}
        try:
            several.search_all(models, tiny_pair, **asked)
        except several.SomeFailed as error:
            assert str(error).endswith(f"models have no winner: {', '.join(failing)}")
            assert len(error.finished) == len(models) - len(failing)
        return given

    return run


def test_each_model_gets_a_share_of_what_is_left(searched):
    assert searched([10, 200, 90], budget=300) == [100, 145, 90]
    assert searched([10, 200, 90], budget=300, failing=["bias"]) == [100, 145, 90]
    assert searched([400, 50, 50], budget=300) == [100, 40, 40]  # the first took too long
    two_stage = ["bias", "u_darec", "i_darec"]
    assert searched([10, 240, 90], two_stage, budget=910) == [pytest.approx(910 / 9), 450, 660]
    joint = searched([10, 240, 90], two_stage, budget=300, stages="joint")
    assert joint == [100, 145, 50]
    assert searched([1, 1, 1]) == [None] * 3
    assert searched([1, 1, 1], time_budget=7) == [7] * 3


def test_a_search_that_is_continued_keeps_its_share(searched, tiny_pair, tmp_path):
    folder = tmp_path / "tiny-90" / "mean"
    saved(winner_on(tiny_pair, "mean", max_epochs=1, time_budget=100.0), folder)
    assert searched([0, 100, 80], budget=300, resume=True) == [100, 100, 100]
    assert searched([0, 100, 80], budget=300, resume=False) == [100, 150, 200]


def test_what_searches_left_before_an_interruption_is_still_shared(searched, tiny_pair, tmp_path):
    """The first search took 10 s of its 100, so that the second one had 290 / 2."""
    for model, share in (("mean", 100.0), ("bias", 145.0)):
        folder = tmp_path / "tiny-90" / model
        saved(winner_on(tiny_pair, model, max_epochs=1, time_budget=share), folder)
    assert searched([0, 0, 80], budget=300, resume=True) == [100, 145, 145]
    assert searched([0, 0, 80], budget=600, resume=True) == [100, 145, 445]


TWO = ["bias", "u_darec"]


@pytest.mark.parametrize(
    ("models", "options", "words"),
    [
        (["bias"], {"time_budget": 5.0}, "--budget cannot go with --time-budget, which is the ti"),
        (TWO, {}, "--budget must be at least 200 seconds, 40 for each of 5 shares of 2 models, b"),
        (
            TWO,
            {"stages": "joint"},
            "must be at least 80 seconds, 40 for each of 2 shares of 2 m",
        ),
        (["bias"], {"reproducible": True}, "--reproducible cannot go with --budget, but got 60"),
        (["bias"], {"rejudge": 5}, "--rejudge cannot go with --budget 60: its time is not"),
    ],
)
def test_what_cannot_go_with_a_budget_is_refused(models, options, words):
    with pytest.raises(darec.UserError, match=words):
        several.check_budget(60.0, models, options)
    several.check_budget(None, models, options)
