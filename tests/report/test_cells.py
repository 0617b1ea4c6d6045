import re

import pytest

from darec.models import MODELS
from darec.paper import FIGURE_2_SIZES, TABLE_2
from darec.report import cells
from darec.report.cells import Budget, Cell, Results, distinct
from darec.report.sections import Request
from jobs.reproduce import _drawn
from search_spaces import SPACES, narrowed
from tests.report.made import scored, searched

BUDGET = Budget(8, 2, 3, seeds=2)


def results_of(out, budget=BUDGET, digest="d"):
    return Results(out, budget, {"toys_auto-synthetic": digest})


def request(what="all", models=()):
    return Request(what, ("toys_auto",), models, (90,), True, BUDGET)


def test_what_each_table_and_figure_needs_is_the_papers():
    # the paper's CMF has no biases
    assert set(cells.TABLE_2) == {*TABLE_2["toys_auto"], "cmf_unbiased"}
    assert {size for _, size in request().figure2("toys_auto")} == set(FIGURE_2_SIZES)
    known = {cell.model for cell in request().cells()}
    assert known <= set(MODELS) and {"pmf", "u_rbm", "i_cf_nade", "conet"} <= known


def test_every_fixed_hyper_parameter_is_one_of_its_model():
    for cell in distinct(request().cells()):
        space, stage1 = narrowed(cell.model, MODELS[cell.model].stage1, False, list(cell.fix))
        fixed = {fixed.partition("=")[0] for fixed in cell.fix}
        assert all(space.has(name) or (stage1 and name in stage1.fixed) for name in fixed)
        # what is not searched either way, but for stage 1's
        assert fixed - set(SPACES[cell.model].space) <= {"hidden", "center", "reversal"}


def test_a_search_that_two_sections_show_runs_once_and_stage_1_comes_before_what_shares_it():
    found = distinct(request().cells())
    assert len({cell.name for cell in found}) == len(found)
    assert len({cell.folder(cells.Path("out")) for cell in found}) == len(found)
    names = [cell.name for cell in found]
    shared = [cell for cell in found if cell.base is not None]
    assert len(shared) == 11  # neither center, hidden nor the shuffled source share it
    for cell in shared:
        assert found.index(cell.base) < names.index(cell.name)


def test_a_search_of_an_older_space_is_told(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path)
    assert results_of(tmp_path).missing(cell) == ["evaluate"]
    spaces = _drawn(cell)
    assert set(spaces) == {"space", "stage1"} and "mu" in spaces["space"]
    for stage in spaces:
        changed = {**spaces, stage: {**spaces[stage], "more": {}}}
        results = Results(tmp_path, BUDGET, {}, lambda _, changed=changed: changed)
        assert f"it searched another {stage} than" in refused(cell, results)
    assert Results(tmp_path, BUDGET, {}, _drawn).missing(cell) == ["evaluate"]


def refused(cell, results):
    """Return why a search that is there is not the cell's: it counts as missing."""
    assert results.missing(cell) == ("search", "evaluate") and not results.scores(cell)
    return results.refused[cell]


def test_only_models_asked_for_and_the_trivial_ones():
    assert {cell.model for cell in request("table2", ("cmf",)).cells()} == {"cmf", "mean", "bias"}


def test_what_is_missing_is_known_from_files(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True, cold_users=True)
    assert results_of(tmp_path).missing(cell) == ("search", "evaluate", "cold_users")
    searched(cell, tmp_path)
    assert results_of(tmp_path).missing(cell) == ["evaluate", "cold_users"]
    scored(cell, tmp_path, [1.0, 1.1])
    results = results_of(tmp_path)
    assert results.missing(cell) == []
    assert [score.test_rmse for score in results.scores(cell)] == [1.0, 1.1]
    assert [score.test_rmse for score in results.scores(cell, "floor")] == [2.0, 2.1]
    assert [score.rmse for score in results.cold(cell)] == [1.0, 1.1]
    more = Budget(8, 2, 3, seeds=3)
    assert results_of(tmp_path, more).missing(cell) == ["evaluate", "cold_users"]


@pytest.mark.parametrize(
    ("budget", "changed", "words"),
    [
        (Budget(9, 2, 3, 2), {}, "has trials 8, and 9 is asked for; give another --out"),
        (Budget(8, 2, 4, 2), {}, "has max_epochs 3, and 4"),
        (Budget(8, 5, 3, 2), {}, "has stage1_trials 2, and 5"),
        (BUDGET, {"seed": 7}, "has seed 7, and 0"),
        (BUDGET, {"sampler": "random"}, "has sampler random, and tpe"),
        (BUDGET, {"stage1": None}, "has stages joint, and paper"),
        (BUDGET, {"argv": ["tune.py", "--fix=mu=0"]}, "has fixed .'mu=0'., and"),
        (BUDGET, {"argv": ["tune.py", "--fix", "mu=0"]}, r"has fixed \['mu=0'\], and \[\]"),
    ],
)
def test_a_search_of_another_kind_is_told_at_once(tmp_path, budget, changed, words):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path, **changed)
    assert re.search(words, refused(cell, results_of(tmp_path, budget)))


@pytest.mark.parametrize("damaged", ["", "[]", '{"budget": {}}', '{"budget": '])
def test_a_damaged_study_is_told_in_one_line(tmp_path, damaged):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path)
    (cell.folder(tmp_path) / "study.json").write_text(damaged)
    told = refused(cell, results_of(tmp_path))
    assert "u_darec/study.json: not a study.json of this version: " in told


def test_stage_1_is_no_matter_of_models_without_one(tmp_path):
    cell = Cell("toys_auto", 90, "i_autorec", synthetic=True)
    scored(cell, tmp_path, [1.0, 1.1])
    assert results_of(tmp_path, Budget(8, 5, 3, 2)).missing(cell) == []


def test_scores_of_other_ratings_under_the_same_name_are_told(tmp_path):
    cell = Cell("toys_auto", 90, "cmf", synthetic=True)
    scored(cell, tmp_path, [1.0, 1.1])
    told = refused(cell, results_of(tmp_path, digest="another"))
    assert "its ratings are not those of toys_auto-synthetic now" in told
