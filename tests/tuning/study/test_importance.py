from dataclasses import replace

import pytest

from darec.errors import UserError
from darec.report.matrix.cells import Cell
from darec.tuning.study.importance import LEAST_TRIALS, importances, places, read_study
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", "trials.csv: must have a column 'best_epoch', but has none"),
        (lambda text: text.splitlines()[0], "must have a trial that did not diverge, but has none"),
        (lambda text: text.replace("extractor", "x"), "must have a column 'extractor', but"),
        (
            lambda text: text.replace("1.01", "low"),
            r"line 3: best_valid_rmse must be a number from",
        ),
        (
            lambda text: text.replace("1.01", "nan"),
            r"line 3: best_valid_rmse must be a number from",
        ),
        (lambda text: text.replace("1.01", "-1"), r"from 0 to 4, but got '-1'"),
        (lambda text: text.replace("shared", "both"), "predictors must be one of own, shared, but"),
        (lambda text: text[:-60], "line 13: "),
        (lambda text: text.replace("best_epoch", "\x00", 1), "must have a column 'best_epoch'"),
    ],
)
def test_trials_that_cannot_be_are_reported_in_one_line(folder, change, words):
    path = folder / "trials.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=words) as caught:
        read_study(folder)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def test_trials_that_are_absent_or_no_text_are_reported(folder):
    path = folder / "trials.csv"
    path.write_bytes(b"\xff" + path.read_bytes())
    with pytest.raises(UserError, match=r"trials.csv: is not CSV: "):
        read_study(folder)
    path.unlink()
    with pytest.raises(UserError, match=r"trials.csv: cannot be read: No such file"):
        read_study(folder)


def test_a_trial_that_diverged_is_left_out(folder):
    path = folder / "trials.csv"
    head, first, *rest = path.read_text().splitlines()
    diverged = first.replace("1,1.0,", "0,inf,", 1)
    assert diverged != first
    path.write_text("\n".join([head, *rest, diverged]))
    assert len(read_study(folder).trials) == 11
