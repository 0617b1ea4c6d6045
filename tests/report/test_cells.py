import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from darec.api.registry import spaces_for
from darec.cli.options import parse_fix
from darec.errors import UserError
from darec.models import MODELS
from darec.paper import FIGURE_2_SIZES, RANGES, TABLE_2
from darec.report.matrix import cells
from darec.report.matrix.cells import Budget, Cell, distinct, fix_text, printed
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.spaces import present_spaces
from search_spaces import SPACES
from tests.report.made import ORIGIN, scored, searched

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


def test_rows_as_printed_stand_beside_those_with_our_additions():
    def rows(found):
        return [cell.row for cell in found]

    biases = ["bias", "hierarchical_bias"]
    ours = ["u_darec (ours)", "i_darec (ours)"]
    table2, figure3 = request().table2("toys_auto", 90), request().figure3("toys_auto", 90)
    assert rows(table2) == [*cells.TABLE_2, *ours, "mean", *biases]
    ours = [f"{name} (ours)" for name in cells.FIGURE_3 if name not in ("pmf", "u_rbm")]
    assert rows(figure3) == [*cells.FIGURE_3, *ours, *biases]
    for cell in (*table2, *figure3):
        assert cell.paper == (cell.row in cells.PRINTED)
    both = request("table2", ("i_darec",)).table2("toys_auto", 90)
    assert rows(both) == ["i_darec", "i_darec (ours)", "mean", *biases]


def test_darec_as_printed_searches_the_papers_ranges_alone_in_a_folder_of_its_own():
    for name in cells.DAREC:
        cell = printed("toys_auto", 90, name, True)
        spaces, ours = present_spaces(cell), replace(cell, paper=False)
        assert {*spaces["space"], *spaces["stage1"]} == set(RANGES)
        assert {"head", "learning_rate"} <= set(present_spaces(ours)["space"])
        label = "toys_auto-synthetic-90"
        assert cell.folder(Path("out")) == Path(f"out/variants/paper/{label}/{name}")
        assert ours.folder(Path("out")) == Path(f"out/{label}/{name}")
        assert (cell.name, ours.name) == (f"{label}-{name}-paper", f"{label}-{name}")
    assert printed("toys_auto", 90, "pmf", True) == Cell("toys_auto", 90, "pmf", True)


def test_the_figure_of_sizes_and_the_parts_vary_darec_as_printed():
    parts = request().parts("toys_auto")
    changed = [*request().figure2("toys_auto").values(), *parts.values()]
    assert all(cell.paper and cell.row == cell.model for cell in changed)
    for (model, label), cell in parts.items():
        if label != cells.SHUFFLED:
            ((name, value),) = cell.fix
            space, stage1 = spaces_for(model, paper=True)
            whole = {**stage1.fixed, **space.fixed}
            assert whole.get(name) != value, "the whole model has this change already"
    assert {("center", "hierarchical"), ("head", "residual")} <= {
        fixed for cell in parts.values() for fixed in cell.fix
    }


def test_every_fixed_hyper_parameter_is_one_of_its_model():
    for cell in distinct(request().cells()):
        texts = [fix_text(fixed) for fixed in cell.fix]
        space, stage1 = spaces_for(cell.model, fix=parse_fix(texts), paper=cell.paper)
        fixed = {name for name, _ in cell.fix}
        held = {**(stage1.fixed if stage1 else {}), **space.fixed}
        assert {name: held[name] for name in fixed} == dict(cell.fix)
        assert all(space.has(name) or (stage1 and name in stage1.fixed) for name in fixed)
        # what is not searched either way, but for stage 1's
        assert fixed - set(SPACES[cell.model].space) <= {"hidden", "center", "reversal"}


@pytest.mark.parametrize(
    ("fixed", "text"),
    [
        (("mu", 0), "mu=0"),
        (("beta", 0.5), "beta=0.5"),
        (("reversal", False), "reversal=false"),
        (("heads", "own"), "heads=own"),
    ],
)
def test_a_fixed_hyper_parameter_reads_as_on_the_command_line_and_names_the_folder(fixed, text):
    cell = Cell("toys_auto", 90, "u_darec", fix=(fixed, ("hidden", 200)))
    assert fix_text(fixed) == text and parse_fix([text]) == dict([fixed])
    assert cell.out(Path("out")) == Path(f"out/variants/{text}-hidden=200")
    assert cell.name == f"toys_auto-90-u_darec-{text}-hidden=200"
    assert replace(cell, paper=True).out(Path("out")).name == f"paper-{text}-hidden=200"


def test_a_search_that_two_sections_show_runs_once_and_stage_1_comes_before_what_shares_it():
    found = distinct(request().cells())
    assert len({cell.name for cell in found}) == len(found)
    assert len({cell.folder(Path("out")) for cell in found}) == len(found)
    names = [cell.name for cell in found]
    shared = [cell for cell in found if cell.base is not None]
    assert len(shared) == 11  # neither center, hidden nor the shuffled source share it
    for cell in shared:
        assert found.index(cell.base) < names.index(cell.name)


def test_a_search_of_an_older_space_is_reported(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path)
    assert results_of(tmp_path).missing(cell) == ["evaluate"]
    spaces = present_spaces(cell)
    assert set(spaces) == {"space", "stage1"} and "mu" in spaces["space"]
    for stage, words in (("space", "another space"), ("stage1", "another stage-1 space")):
        changed = {**spaces, stage: {**spaces[stage], "more": {}}}
        results = Results(tmp_path, BUDGET, {}, lambda _, changed=changed: changed)
        assert f"used {words} than search_spaces/ has now" in refused(cell, results)
    assert Results(tmp_path, BUDGET, {}, present_spaces).missing(cell) == ["evaluate"]


def test_a_search_whose_ranges_ended_early_is_not_one_of_another_space(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path)
    path = cell.folder(tmp_path) / "study.json"
    study = json.loads(path.read_text())
    study["stage1"]["drawn"]["hidden"]["attributes"]["high"] = 300
    study["narrowed"] = {"autorec/hidden": 300}
    path.write_text(json.dumps(study))
    assert Results(tmp_path, BUDGET, {}, present_spaces).missing(cell) == ["evaluate"]


def refused(cell, results):
    """Return why a search that is there is not the cell's: it counts as missing."""
    assert results.missing(cell) == ["search", "evaluate"] and not results.scores(cell)
    return results.refused[cell]


def test_only_models_asked_for_and_the_trivial_ones():
    kept = {cell.model for cell in request("table2", ("cmf",)).cells()}
    assert kept == {"cmf", "mean", "bias", "hierarchical_bias"}


def test_what_is_missing_is_known_from_files(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    assert results_of(tmp_path).missing(cell) == ["search", "evaluate"]
    searched(cell, tmp_path)
    assert results_of(tmp_path).missing(cell) == ["evaluate"]
    scored(cell, tmp_path, [1.0, 1.1])
    results = results_of(tmp_path)
    assert results.missing(cell) == []
    assert [score.test_rmse for score in results.scores(cell)] == [1.0, 1.1]
    assert [score.test_rmse for score in results.scores(cell, "floor")] == [2.0, 2.1]
    more = Budget(8, 2, 3, seeds=3)
    assert results_of(tmp_path, more).missing(cell) == ["evaluate"]


def test_the_two_tasks_share_neither_searches_nor_scores(tmp_path):
    warm = Cell("toys_auto", 90, "u_darec", synthetic=True)
    cold = replace(warm, cold_users=20)
    assert warm.name == "toys_auto-synthetic-90-u_darec"
    assert cold.name == "toys_auto-synthetic-cold20-u_darec"
    scored(warm, tmp_path, [1.0, 1.1])
    assert results_of(tmp_path).missing(cold) == ["search", "evaluate"]
    scored(cold, tmp_path, [1.2, 1.3])
    results = results_of(tmp_path)
    assert [score.test_rmse for score in results.scores(warm)] == [1.0, 1.1]
    assert [score.test_rmse for score in results.scores(cold)] == [1.2, 1.3]
    assert results.missing(cold) == results.missing(warm) == []
    searched(cold, tmp_path, cold_users=None)
    assert "used --cold-users none; you asked for 20" in refused(cold, results_of(tmp_path))


def test_the_section_on_cold_users_has_every_model_that_can_and_a_share():
    cells = replace(request("cold_users"), cold_share=50).cells()
    able = {name for name, kind in MODELS.items() if kind.cold_users}
    assert {cell.model for cell in cells} == able and {cell.cold_users for cell in cells} == {50}
    with pytest.raises(UserError, match="--cold-share must be 20, 50 or 80, but got 30"):
        replace(request("cold_users"), cold_share=30)
    whole = request("all").whole_models("toys_auto", 90)
    assert not any(cell.cold_users for cell in whole)


@pytest.mark.parametrize(
    ("budget", "changed", "words"),
    [
        (Budget(9, 2, 3, 2), {}, "used --trials 8; you asked for 9; choose another --out"),
        (Budget(8, 2, 4, 2), {}, "used --max-epochs 3; you asked for 4"),
        (Budget(8, 5, 3, 2), {}, "used --stage1-trials 2; you asked for 5"),
        (BUDGET, {"seed": 7}, "used --seed 7; you asked for 0"),
        (BUDGET, {"model": "cmf"}, "used --model cmf; you asked for u_darec"),
        (BUDGET, {"pair": "own"}, "used --pair own; you asked for toys_auto-synthetic"),
        (BUDGET, {"train": 80}, "used --train 80; you asked for 90"),
        (BUDGET, {"sampler": "random"}, "used --sampler random; you asked for gp"),
        (BUDGET, {"stages": "joint"}, "used --stages joint; you asked for paper"),
        (BUDGET, {"paper": True}, "used --paper yes; you asked for no;"),
        (BUDGET, {"fix": {"mu": 0}}, "used --fix mu=0; you asked for none"),
        (BUDGET, {"fix": {"mu": 0, "heads": "own"}}, "used --fix mu=0 heads=own; you asked"),
    ],
)
def test_a_search_of_another_kind_is_reported_at_once(tmp_path, budget, changed, words):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path, **changed)
    assert re.search(words, refused(cell, results_of(tmp_path, budget)))


@pytest.mark.parametrize("damaged", ["", "[]", '{"budget": {}}', '{"budget": '])
def test_a_damaged_study_is_reported_in_one_line(tmp_path, damaged):
    cell = Cell("toys_auto", 90, "u_darec", synthetic=True)
    searched(cell, tmp_path)
    (cell.folder(tmp_path) / "study.json").write_text(damaged)
    told = refused(cell, results_of(tmp_path))
    assert re.search("u_darec/study.json: (is not JSON|must be an object|model is missing)", told)


def test_stage_1_is_no_matter_of_models_without_one(tmp_path):
    cell = Cell("toys_auto", 90, "i_autorec", synthetic=True)
    scored(cell, tmp_path, [1.0, 1.1])
    assert results_of(tmp_path, Budget(8, 5, 3, 2)).missing(cell) == []


def test_scores_of_other_ratings_under_the_same_name_are_reported(tmp_path):
    cell = Cell("toys_auto", 90, "cmf", synthetic=True)
    scored(cell, tmp_path, [1.0, 1.1])
    told = refused(cell, results_of(tmp_path, digest="another"))
    assert "used other ratings than toys_auto-synthetic has now" in told


def test_scores_of_the_present_code_come_before_those_of_other_code(tmp_path):
    cell = Cell("toys_auto", 90, "cmf", synthetic=True)
    other = replace(ORIGIN, revision="old0000", code_digest="0" * 64)
    scored(cell, tmp_path, [1.5, 1.6], origin=other)
    assert results_of(tmp_path).missing(cell) == []
    (told,) = results_of(tmp_path).others([cell])
    where = "(revision old0000, code 000000000000, cpu)"
    assert told == f"6 of 6 scores come from other code {where}"
    scored(cell, tmp_path, [1.0, 1.1])
    scored(cell, tmp_path, [1.7, 1.8], origin=other)
    results = results_of(tmp_path)
    assert [score.test_rmse for score in results.scores(cell, "floor")] == [2.0, 2.1]
    assert results.others([cell]) == []
