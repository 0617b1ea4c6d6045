import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from darec.errors import UserError
from darec.report.matrix.cells import Budget, Cell
from darec.report.running.step import Place, StepRequest, run_step
from darec.reporter import SILENT

CELL = Cell(
    "toys_auto",
    80,
    "u_darec",
    synthetic=True,
    fix=(("hidden", 200), ("beta", 0.5), ("reversal", False), ("heads", "own")),
    paper=True,
)
REQUEST = StepRequest(
    "search", CELL, Budget(8, 2, 3, seeds=5), Place(Path("out"), Path("/data"), "here:1", 2)
)


def test_a_request_is_the_same_after_its_way_through_json():
    read = StepRequest.from_json(REQUEST.to_json())
    assert read == REQUEST and "\n" not in REQUEST.to_json()
    assert [type(value) for _, value in read.cell.fix] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.update(more=1), "more: Unexpected keyword argument"),
        (lambda values: values["cell"].update(more=1), "cell.more: Unexpected"),
        (lambda values: values["budget"].pop("trials"), "budget.trials: Field required"),
        (lambda values: values.update(step="tune"), "step: Input should be 'search'"),
        (lambda values: values["cell"].update(train=70), "cell.train: Input should be 90 or 80"),
        (lambda values: values["place"].update(trials_at_once="x"), "place.trials_at_once: "),
    ],
)
def test_a_wrong_request_is_reported_by_its_field(change, words):
    values = json.loads(REQUEST.to_json())
    change(values)
    with pytest.raises(UserError, match=r"not a step's request: .*") as caught:
        StepRequest.from_json(json.dumps(values))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_text_that_is_no_json_is_reported():
    with pytest.raises(UserError, match="the text: Invalid JSON"):
        StepRequest.from_json("--pair toys_auto")


@pytest.fixture
def calls(monkeypatch):
    """The calls of a stand-in for the package's functions, with all arguments."""
    found = []

    def recorded(name):
        def call(*arguments, **options):
            found.append((name, arguments, options))
            return SimpleNamespace(finished=True, path=f"{name}'s result")

        return call

    names = ("load_pair", "search", "evaluate")
    stand_in = SimpleNamespace(**{name: recorded(name) for name in names})
    monkeypatch.setitem(sys.modules, "darec", stand_in)
    return found


def test_a_search_is_one_call_that_continues_what_is_there(calls):
    run_step(REQUEST, SILENT)
    (_, pair, pair_options), (name, arguments, options) = calls
    assert pair == ("toys_auto",) and pair_options == {"data": Path("/data"), "synthetic": True}
    assert name == "search" and arguments[0] == "u_darec"
    assert arguments[1].path == "load_pair's result"
    assert options == {
        "train": 80,
        "task": "warm",
        "cold_share": 20,
        "trials": 8,
        "stage1_trials": 2,
        "max_epochs": 3,
        "fix": {"hidden": 200, "beta": 0.5, "reversal": False, "heads": "own"},
        "paper": True,
        "rejudge": 0,
        "gpus_per_trial": None,
        "at_once": 2,
        "address": "here:1",
        "insecure": False,
        "out": Path("out/variants/paper-hidden=200-beta=0.5-reversal=false-heads=own"),
        "resume": True,
        "fit": False,
        "reporter": SILENT,
    }


def test_an_interrupted_search_is_an_error_of_the_step(calls, monkeypatch):
    interrupted = SimpleNamespace(finished=False)
    monkeypatch.setattr(sys.modules["darec"], "search", lambda *_, **__: interrupted)
    with pytest.raises(UserError, match="the search was interrupted; it can be continued"):
        run_step(REQUEST, SILENT)


def test_a_search_for_cold_users_is_asked_for_as_such(calls):
    cell = Cell("d1_d3", 90, "cmf", cold_users=50)
    run_step(StepRequest("search", cell, REQUEST.budget, REQUEST.place), SILENT)
    _, _, options = calls[1]
    assert (options["task"], options["cold_share"], options["train"]) == ("cold_users", 50, 90)


@pytest.mark.parametrize(("cold_users", "label"), [(None, "d1_d3-90"), (20, "d1_d3-cold20")])
def test_scoring_is_one_call_on_the_folder_of_the_study(calls, cold_users, label):
    cell = Cell("d1_d3", 90, "cmf", cold_users=cold_users)
    run_step(StepRequest("evaluate", cell, REQUEST.budget, REQUEST.place), SILENT)
    name, arguments, options = calls[1]
    assert name == "evaluate"
    assert arguments[0] == Path(f"out/{label}/cmf") and arguments[1].path == "load_pair's result"
    assert options == {
        "seeds": 5,
        "at_once": 2,
        "address": "here:1",
        "insecure": False,
        "reporter": SILENT,
    }
