from dataclasses import replace

import pytest

from darec.report.analysis.importance import LEAST_TRIALS, importances, places, read_study
from darec.report.matrix.cells import Cell
from tests.report import made


@pytest.fixture
def folder(tmp_path):
    cell = Cell("toys_auto", 90, "i_darec", True)
    made.searched(cell, tmp_path, trials=12)
    return cell.folder(tmp_path)


def test_a_study_is_read_back_with_its_types(folder):
    study = read_study(folder)
    assert len(study.trials) == 12 and study.errors[0] == 1.0
    assert {type(study.trials[0][name]) for name in ("extractor", "batch_size")} == {int}
    assert study.trials[0]["pyramid"] in (0.5, 1.0, 2.0)
    assert {trial["predictors"] for trial in study.trials} == {"own", "shared"}


def test_importances_are_shares_and_need_trials(folder, tmp_path):
    shares = importances(read_study(folder))
    assert sum(shares.values()) == pytest.approx(1) and "extractor" in shares
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    few = Cell("toys_auto", 90, "u_darec", True)
    made.searched(few, tmp_path, trials=LEAST_TRIALS - 1)
    assert importances(read_study(few.folder(tmp_path))) == {}


def test_equal_importances_are_in_the_order_of_names(folder):
    """Optuna's own order of equal shares differs from process to process."""
    study, names = read_study(folder), ["e", "a", "d", "b", "c"]
    distributions = {name: study.distributions["beta"] for name in names}
    trials = [dict.fromkeys(names, trial["beta"]) for trial in study.trials]
    shares = importances(replace(study, distributions=distributions, trials=trials))
    assert list(shares) == sorted(names)


def test_places_are_of_the_best_quarter_on_the_scale_of_the_search(folder):
    found = places(read_study(folder))
    assert "predictors" not in found and all(len(spots) == 3 for spots in found.values())
    assert found["extractor"] == pytest.approx([0.0222, 0.1111, 0.2], abs=0.001)
    assert found["mu"][0] > 0.8  # drawn low on a linear scale, which is high on a logarithmic one
