"""A report on a pair that is not rated from 1 to 5: units in words, and shares of the range."""

import csv

import pytest

from darec.data.scale import STARS, Scale
from darec.report.matrix.cells import Budget, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering.page import write_report
from darec.tuning.study.importance import read_study
from tests.report.made import scored
from tests.scales import on

BUDGET = Budget(8, 2, 3, seeds=5)
WIDE = Scale(0, 100)


def written(pair, out, scale):
    request = Request("all", ("toys_auto",), (), (90,), True, BUDGET)
    for k, cell in enumerate(distinct(request.cells())):
        level = scale.unit * (1 + 0.01 * k)
        errors = [level + 0.01 * scale.unit * seed for seed in range(5)]
        scored(cell, out, errors, scale=scale)
    pairs = {"toys_auto": pair}
    page = write_report(request, Results(out, BUDGET, {}), pairs, out / "report", [], {})
    return page.read_text(), page.parent


@pytest.fixture(scope="module")
def wide(tiny_pair, tmp_path_factory):
    return written(on(tiny_pair, STARS, WIDE), tmp_path_factory.mktemp("wide"), WIDE)


@pytest.mark.slow
def test_headings_and_cells_tell_the_unit(wide):
    text, folder = wide
    told = "toys_auto-synthetic: target ratings lie from 0 to 100, source ratings from 1 to 5. RMSE"
    assert told in text and told in (folder / "table2.md").read_text()
    assert "toys_auto-synthetic, 90 %, ratings from 0 to 100" in text
    assert " of the range" in text
    with (folder / "table2.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(r["by_range"]) == pytest.approx(float(r["mean"]) / 100) for r in rows)


@pytest.mark.slow
def test_trials_may_have_errors_within_the_range(wide):
    _, folder = wide
    (study, *_) = folder.parent.glob("**/u_darec")
    assert read_study(study).errors


@pytest.mark.slow
def test_nothing_is_added_from_1_to_5(tiny_pair, tmp_path):
    text, folder = written(tiny_pair, tmp_path, STARS)
    assert "of the range" not in text and ", ratings from" not in text
    with (folder / "table2.csv").open(newline="") as file:
        assert {row["by_range"] for row in csv.DictReader(file)} == {""}
