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
        except darec.UserError:
            assert failing
        return given

    return run


def test_each_model_gets_a_share_of_what_is_left(searched):
    assert searched([1, 20, 9], budget=30) == [10, 14.5, 9]
    assert searched([1, 20, 9], budget=30, failing=["bias"]) == [10, 14.5, 9]
    assert searched([40, 5, 5], budget=30) == [10, 1, 1]  # the first took too long
    assert searched([1, 1, 1]) == [None] * 3
    assert searched([1, 1, 1], time_budget=7) == [7] * 3


def test_a_search_that_is_continued_keeps_its_share(searched, tiny_pair, tmp_path):
    folder = tmp_path / "tiny-90" / "mean"
    saved(winner_on(tiny_pair, "mean", max_epochs=1, time_budget=12.0), folder)
    assert searched([0, 10, 8], budget=30, resume=True) == [12, 9, 8]
    assert searched([0, 10, 8], budget=30, resume=False) == [10, 15, 20]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time_budget": 5.0}, "--budget cannot go with --time-budget, which is the time of each"),
        ({"reproducible": True}, "--reproducible cannot go with --budget, but got 60"),
    ],
)
def test_what_cannot_go_with_a_budget_is_refused(options, words):
    with pytest.raises(darec.UserError, match=words):
        several.check_budget(60.0, options)
    several.check_budget(None, options)
