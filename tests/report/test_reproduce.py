import doctest
import re
import sys
from contextlib import contextmanager

import pytest

from darec.data.store import obtain
from darec.errors import UserError
from darec.report import reproduce as module
from darec.report.matrix.cells import Cell
from darec.report.reproduce import reproduce
from darec.report.running import runner
from tests.report.made import scored
from tests.reporting import Recorder

ASKED = {
    "what": "table2",
    "pairs": ["toys_auto"],
    "models": ["cmf"],
    "train": [90],
    "trials": 8,
    "max_epochs": 3,
    "seeds": 2,
    "synthetic": True,
}
MODELS = ("cmf", "mean", "bias", "hierarchical_bias")


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    return obtain("toys_auto", tmp_path_factory.mktemp("data"), synthetic=True).digest


@pytest.fixture
def pretended_cluster(monkeypatch):
    """A cluster of 16 CPUs that is only pretended."""

    @contextmanager
    def connected(address, insecure):
        assert address is None and not insecure
        yield

    monkeypatch.setattr(module, "connected", connected)
    monkeypatch.setattr(module, "cluster_address", lambda: "here:1")
    monkeypatch.setattr(module, "cluster_cpus", lambda: 16.0)


def test_the_plan_runs_nothing_and_writes_nothing(tmp_path):
    told = Recorder()
    assert reproduce(**ASKED, out=tmp_path / "out", plan=True, reporter=told) is None
    (plan,) = told.lines
    assert plan.startswith("Plan: table2 of toys_auto: 4 searches and their scores\n")
    assert "4 searches with 18 trials of at most 3 epochs" in plan and "hours of one CPU" in plan
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trials": 0}, "--trials must be a whole number of at least 1, but got 0"),
        ({"max_epochs": 1.5}, "--max-epochs must be a whole number of at least 1, but got 1.5"),
        ({"seeds": -1}, "--seeds must be a whole number of at least 1, but got -1"),
        ({"at_once": float("nan")}, "--at-once must be a whole number of at least 1, but got nan"),
        ({"gpus_per_trial": float("inf")}, "--gpus-per-trial must be 0, a share .* but got inf"),
        ({"address": "head"}, "--address must be auto, or HOST:PORT .* but got 'head'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(options, words, tmp_path):
    with pytest.raises(UserError, match=words):
        reproduce(**{**ASKED, **options}, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_done_is_not_run_again(tmp_path, digest):
    for model in MODELS:
        scored(Cell("toys_auto", 90, model, True), tmp_path, [1.0, 1.1], digest=digest)
    told = Recorder()
    page = reproduce(**ASKED, out=str(tmp_path), reporter=told)
    assert page == tmp_path / "report" / "report.html"
    assert "4 of 4 searches are scored" in page.read_text()
    assert "4 are done; to run: 0" in told.lines[0] and told.lines[-1] == f"page:  {page}"


def test_a_failure_is_reported_and_the_page_is_written(
    tmp_path, digest, pretended_cluster, monkeypatch
):
    """The pretended steps share the 16 CPUs: two searches at once with 8 each."""
    code = "import sys; text = sys.stdin.read(); print(text); sys.exit('error: no score')"
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-c", code))
    scored(Cell("toys_auto", 90, "bias", True), tmp_path, [1.0, 1.1], digest=digest)
    told = Recorder()
    with pytest.raises(UserError, match="3 of 4 searches have no score; run it again"):
        reproduce(
            **ASKED,
            out=tmp_path,
            reporter=told,
            argv=["reproduce", "table2"],
        )
    names = [f"toys_auto-synthetic-90-{model}" for model in ("cmf", "mean", "hierarchical_bias")]
    for name in names:
        assert {f"started: {name}", f"failed: {name}"} <= set(told.lines)
        assert any(line.startswith(f"failed: {name}: search: no score (") for line in told.lines)
        log = (tmp_path / "report" / "logs" / f"{name}.log").read_text()
        assert '"address":"here:1","trials_at_once":8' in log
    page = (tmp_path / "report" / "report.html").read_text()
    assert "1 of 4 searches are scored" in page and "search: no score (exit 1" in page
    assert '"table2"' in (tmp_path / "report" / "provenance.json").read_text()


def test_the_page_is_written_when_it_is_interrupted(tmp_path, pretended_cluster, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Runner, "run", interrupted)
    told = Recorder()
    with pytest.raises(KeyboardInterrupt):
        reproduce(**ASKED, out=tmp_path, reporter=told)
    assert "interrupted; run the same command again to continue" in told.lines
    assert "0 of 4 searches are scored" in (tmp_path / "report" / "report.html").read_text()


def test_only_the_page_is_written_from_what_there_is(tmp_path, digest):
    scored(Cell("toys_auto", 90, "bias", True), tmp_path, [1.0, 1.1], digest=digest)
    page = reproduce(**ASKED, out=tmp_path, page=True)
    assert "1 of 1 searches are scored" in page.read_text()
    assert not (tmp_path / "report" / "logs").exists()


def test_the_page_keeps_what_earlier_calls_put_there(tmp_path, digest):
    asked = {**ASKED, "models": ["u_darec"], "page": True, "out": tmp_path}
    reproduce(**asked)
    text = reproduce(**{**asked, "what": "fig3"}).read_text()
    assert 'id="table2"' in text and 'id="made"' in text
    again = reproduce(**{**asked, "what": "fig3"})
    assert again.read_text() == text
    told = Recorder()
    other = reproduce(**{**asked, "what": "fig3", "train": [80], "reporter": told})
    assert told.has("the page no longer shows fig3, asked for with other options")
    assert 'id="table2"' not in other.read_text()
    (tmp_path / "report" / "provenance.json").write_text("{}")  # of an earlier version
    assert 'id="table2"' not in reproduce(**{**asked, "what": "fig3"}).read_text()


def test_the_page_of_searches_with_different_budgets_says_so(tmp_path, digest):
    scored(Cell("toys_auto", 90, "bias", True), tmp_path, [1.0, 1.1], digest=digest)
    scored(Cell("toys_auto", 90, "cmf", True), tmp_path, [1.0, 1.1], digest=digest)
    others, told = {**ASKED, "trials": 99}, Recorder()
    reproduce(**others, out=tmp_path, plan=True, reporter=told)
    assert told.has("used --trials 8; you asked for 99")
    text = reproduce(**others, out=tmp_path, page=True).read_text()
    assert "8 trials of at most 3 epochs: cmf, bias" in text  # what the searches had
    folder = Cell("toys_auto", 90, "cmf", True).folder(tmp_path)
    for path in (folder / "study.json", folder / "best.json"):
        path.write_text(re.sub(r'("trials(_asked)?": )8', r"\g<1>9", path.read_text()))
    text = reproduce(**ASKED, out=tmp_path, page=True).read_text()
    assert "8 trials of at most 3 epochs: bias" in text
    assert "9 trials of at most 3 epochs: cmf" in text


def test_searches_that_are_all_other_ones_are_an_error_at_once(tmp_path, digest):
    for model in MODELS:
        scored(Cell("toys_auto", 90, model, True), tmp_path, [1.0, 1.1], digest="another")
    with pytest.raises(UserError, match="used other ratings than toys_auto-synthetic has now"):
        reproduce(**ASKED, out=tmp_path)
    assert not (tmp_path / "report").exists()


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module) == (0, 1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"out": "s3://bucket/results"}, "--out must be a folder"),
        ({"train": [70]}, "--train must be 90, 80 or both, but got 70"),
        ({"train": []}, "--pairs and --train must name something"),
        (
            {"what": "table3"},
            "a report shows one of table2, fig2, fig3, cold_users, all, but got 'table3'",
        ),
        ({"models": ["svd"]}, "--models must be of mean, bias"),
        ({"models": ["u_rbm"]}, "table2 shows none of u_rbm; it has"),
    ],
)
def test_a_wrong_argument_is_reported_in_one_line(changed, words):
    with pytest.raises(UserError) as caught:
        reproduce(**{**ASKED, **changed}, plan=True)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_page_of_what_is_there_has_every_searched_model_and_begins_with_the_answer(
    tmp_path, digest
):
    errors = {"bias": [1.0, 1.1], "item_knn": [0.9, 0.95], "u_autorec": [0.95, 1.0]}
    for model, own in errors.items():
        scored(Cell("toys_auto", 90, model, True), tmp_path, own, digest=digest)
    (tmp_path / "office_movies-synthetic-90" / "cmf").mkdir(parents=True)  # not finished
    options = {"train": [90], "seeds": 2, "synthetic": True, "page": True}
    page = reproduce("fig3", out=tmp_path, reporter=Recorder(), **options)
    text = page.read_text()
    ids = re.findall(r'<section id="([^"]+)"', text)
    assert ids[0] == "answer" and "fig3" in ids and "table2" not in ids
    assert "item_knn has the lowest test RMSE, 0.9250" in text
    assert "no score" not in text and "office_movies" not in text
    both = reproduce("table2", out=tmp_path, reporter=Recorder(), **options).read_text()
    assert {"answer", "table2", "fig3"} <= set(re.findall(r'<section id="([^"]+)"', both))
    rows = re.findall(r"<td[^>]*>(\w+)</td>", both[both.index('id="table2"') :])
    assert "item_knn" in rows and "conet" not in rows
