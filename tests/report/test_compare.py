"""Winners compared by their test scores."""

import json
import sys

import pytest
from typer.testing import CliRunner

import darec
from darec.cli.main import app_of
from darec.report.analysis.statistics import holm, paired_p
from darec.report.compare import compare, in_short
from darec.report.matrix.cells import Cell
from tests.report import made

BIAS = [1.00, 1.02, 0.98, 1.01, 0.99]
BETTER = [0.90, 0.93, 0.88, 0.90, 0.90]
SAME = [1.00, 1.03, 0.97, 1.02, 0.98]


@pytest.fixture
def results(tmp_path):
    found = []
    for model, errors in (("bias", BIAS), ("cmf", BETTER), ("conet", SAME)):
        cell = Cell("toys_auto", 90, model, True)
        made.scored(cell, tmp_path, errors)
        found.append(darec.load_result(cell.folder(tmp_path)))
    return found


def test_each_is_compared_with_the_first_in_pairs(results):
    bias, cmf, conet = compare(results)
    assert (bias.name, bias.p, bias.gap, bias.splits) == ("bias", None, 0.0, 5)
    assert cmf.rmse == pytest.approx(0.902) and cmf.gap == pytest.approx(-0.098)
    assert (cmf.lower, conet.lower) == (5, 2)
    p_values = holm([paired_p(BIAS, BETTER), paired_p(BIAS, SAME)])
    assert [cmf.p, conet.p] == p_values
    assert cmf.sentence("bias") == "cmf is lower than bias by 0.0980 (p < 0.001)"
    assert conet.sentence("bias").startswith("conet is not significantly different from bias (p = ")
    assert cmf.gap_sd == pytest.approx(0.00837, abs=1e-5)
    floor = compare(results, "floor")
    assert floor[1].rmse == pytest.approx(1.902)


def test_the_short_form_names_those_that_differ_and_those_that_do_not(results):
    bias, cmf, conet = results
    told = in_short(compare([cmf, bias, conet]))
    test = "By a paired test (p < 0.05, corrected), "
    assert told == f"{test}higher: bias, conet."
    told = in_short(compare([bias, conet]))
    assert told == f"{test}not significantly different from bias: conet."
    told = in_short(compare([conet, bias, cmf]))
    assert told == f"{test}not significantly different from conet: bias; lower: cmf."


def test_fewer_than_five_splits_are_too_few_for_a_test(tmp_path):
    found = []
    for model, errors in (("bias", BIAS[:4]), ("cmf", BETTER)):
        cell = Cell("toys_auto", 90, model, True)
        made.scored(cell, tmp_path, errors)
        found.append(darec.load_result(cell.folder(tmp_path)))
    told = compare(found)[1]
    assert told.p is None and told.splits == 4
    assert told.sentence("x") == "cmf is lower than x by 0.1000 on 4 splits, too few for a test"
    assert in_short(compare(found)) == "A paired test needs 5 splits or more."


def test_runs_on_one_split_are_one_split(tmp_path):
    found = []
    for model, errors in (("bias", BIAS), ("cmf", BETTER)):
        cell = Cell("toys_auto", 90, model, True)
        made.scored(cell, tmp_path, errors)
        found.append(darec.load_result(cell.folder(tmp_path)))
    scores = tmp_path / "scores.jsonl"
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    scores.write_text("".join(json.dumps({**line, "split_seed": 0}) + "\n" for line in lines))
    cmf = compare(found)[1]
    assert (cmf.splits, cmf.p) == (1, None) and cmf.gap == pytest.approx(-0.098)
    assert (
        cmf.sentence("bias") == "cmf is lower than bias by 0.0980 on one split, too few for a test"
    )


def test_what_cannot_be_compared_is_reported(results, tmp_path):
    with pytest.raises(darec.UserError, match="give at least two searches"):
        compare(results[:1])
    other = Cell("toys_auto", 80, "bias", True)
    made.scored(other, tmp_path, BIAS)
    with pytest.raises(darec.UserError, match="must be of toys_auto-synthetic, 90 % training, as"):
        compare([results[0], darec.load_result(other.folder(tmp_path))])
    none = Cell("toys_auto", 90, "pmf", True)
    made.searched(none, tmp_path)
    with pytest.raises(
        darec.UserError, match=r"no test scores \(cold=hierarchical\); run darec ev"
    ):
        compare([results[0], darec.load_result(none.folder(tmp_path))])


def test_the_command_says_the_answer_first_and_fits_80_columns(results, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["jobs/compare.py"])
    monkeypatch.setenv("COLUMNS", "80")
    places = [result.path for result in results]
    ended = CliRunner().invoke(app_of("compare"), places)
    assert ended.exit_code == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "cmf is lower than bias by 0.0980 (p < 0.001)"
    table = [line for line in lines if "│" in line]
    assert len(table) == 3 and max(map(len, table)) <= 80
    as_json = CliRunner().invoke(app_of("compare"), [*places, "--json"])
    rows = json.loads(as_json.stdout)["results"]
    assert [row["name"] for row in rows] == ["bias", "cmf", "conet"]
