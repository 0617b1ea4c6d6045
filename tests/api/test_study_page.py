"""The page of a search: finished, running, of two stages, with failures."""

import csv
import json
import re
from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution, FloatDistribution

from darec.api.study_figures import curves, slice_of
from darec.api.study_page import MOST_ROWS, write_study_page
from darec.api.winner import asked_for
from darec.errors import UserError
from darec.models.best import read_best
from darec.report.matrix.cells import Cell
from darec.tuning.study.record import PAGE, write_record
from darec.tuning.study.trials_table import COLUMNS, COST
from darec.tuning.trial.names import flatten
from tests.browser import browsed, titled
from tests.report import made
from tests.tuning.common import request_for


@pytest.fixture
def finished(tmp_path):
    """A finished search of two stages, made up; its trials have learning curves."""
    cell = Cell("toys_auto", 90, "i_darec", True)
    made.searched(cell, tmp_path, trials=12)
    folder = cell.folder(tmp_path)
    for each in (folder, *folder.glob("stage1_*")):
        _complete(each)
    best = read_best(folder)
    for name, errors in ((best.trial_id, [1.1, 1.0, 1.05]), ("1", [1.2, 1.1, 1.15])):
        curve = folder / "tune" / name / "progress.csv"
        curve.parent.mkdir(parents=True)
        lines = [f"{epoch},{error}" for epoch, error in enumerate(errors, 1)]
        curve.write_text("\n".join(["epoch,valid_rmse", *lines]) + "\n")
    return folder


def _complete(folder):
    """Add the columns that a search writes to a made-up table."""
    rows = rows_of(folder)
    drawn = [name for name in rows[0] if name not in COLUMNS]
    winner = read_best(folder).trial_id if (folder / "best.json").exists() else "0"
    made_up = {"ended": "completed", "failures": "", "seconds": "3.5", "epochs": "4"}
    made_up |= {"cpu_s": "6", "gpu_s": "2"}
    numbers = [winner, *(str(n) for n in range(1, len(rows)))]
    write_rows(
        folder,
        [
            {
                name: {**row, **made_up, "trial_id": number}[name]
                for name in (*COLUMNS, *COST, *drawn)
            }
            for number, row in zip(numbers, rows, strict=True)
        ],
    )


def rows_of(folder):
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder, rows):
    with (folder / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def words(page):
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>|<script.*?</script>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_page_has_the_winner_its_gaps_its_cost_and_its_configuration(finished):
    page = write_study_page(finished)
    assert page == finished / PAGE
    text, best = page.read_text(), read_best(finished)
    told = words(text)
    assert f"Validation RMSE {best.valid_rmse:.4f}: trial " in told
    for name, rmse in (
        ("bias", best.bias_valid_rmse),
        ("hierarchical_bias", best.hierarchical_valid_rmse),
    ):
        side = "below" if best.valid_rmse < rmse else "above"
        assert f"{abs(rmse - best.valid_rmse):.4f} {side} {name} ({rmse:.4f})" in told
    assert (
        "of CPU cores and" in told
        and "kWh at 15 W a CPU core and 400 W a GPU" in told
        and "Test ratings have no part in this page" in told
    )
    shown = re.search(r"<pre[^>]*>(.*?)</pre>", text, re.S)[1].replace("&#34;", '"')
    assert flatten(json.loads(shown)) == asked_for(best)
    assert set(asked_for(best)) < set(flatten(best.config))  # not what may not even be in use
    assert "importances: " in text and text.count("<svg") >= 3
    for url in re.findall(r'(?:src|href)="([^"#]*)"', text):
        assert url in ("", "data:,"), url  # the page asks for nothing


def test_the_curves_show_the_rungs_the_winner_and_the_baselines():
    axes = Figure().add_subplot()
    found = {"0007": ([1, 2, 3], [1.0, 0.9, 0.95]), "0003": ([1, 2], [1.1, 30.0])}
    curves(found, [3, 9], {"bias": 0.97})(axes)
    assert "where trials are compared" in axes.get_xlabel()
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == ["trial 0007, the winner", "bias 0.9700"]
    low, high = axes.get_ylim()
    assert low < 0.9 and 1.0 < high < 5.0  # a trial that went wrong does not flatten the others


def test_a_slice_covers_what_was_searched_and_shows_the_papers_range():
    axes = Figure().add_subplot()
    wide = FloatDistribution(1e-4, 1.0, log=True)
    slice_of("alpha", wide, [0.01, 0.1], [0.9, 1.0], (1e-3, 0.1))(axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.0001", "0.01", "1"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["the paper's range"]
    axes = Figure().add_subplot()
    slice_of("center", CategoricalDistribution(["none", "bias"]), ["bias"], [0.9], None)(axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "bias"]
    assert axes.lines[-1].get_xdata()[0] == 1


def test_an_unfinished_search_says_so(tiny_pair, tmp_path):
    folder = tmp_path / "x"
    write_record(request_for("i_darec", tiny_pair, folder), {})
    with pytest.raises(UserError, match="no trial has ended yet"):
        write_study_page(folder)
    stage = folder / "stage1_target"
    stage.mkdir()
    head = "trial_id,ended,failures,seconds,epochs,best_epoch,best_valid_rmse,at_edge"
    names = ["hidden", "center", "activation", "trains_on", "alpha", "learning_rate", "batch_size"]
    line = "16,none,tanh,target,0.01,0.001,64"
    (stage / "trials.csv").write_text(
        f"{head},{','.join(names)}\n"
        f"0000,unfinished,,2.0,3,2,0.9,,{line}\n"
        f"0001,failed,ValueError: <no>,1.0,0,0,inf,,{line}\n"
    )
    told = words(write_study_page(folder).read_text())
    assert "The first stage is being searched." in told
    assert (
        "Validation RMSE 0.9000: trial 0000, epoch 2, so far. 2 trials: 1 unfinished, 1 failed."
        in told
    )
    assert "Failures, stage 1, target" in told and "ValueError: &lt;no&gt;" in told


def test_a_running_search_is_held_against_the_biases_and_says_its_metric(tiny_pair, tmp_path):
    folder = tmp_path / "x"
    request = replace(request_for("i_autorec", tiny_pair, folder), metric="mae", rejudge=3)
    write_record(request, {}, {"bias": 0.95, "hierarchical_bias": 0.88})
    head = "trial_id,ended,failures,seconds,epochs,best_epoch,best_valid_rmse,at_edge"
    names = ["hidden", "center", "activation", "trains_on", "alpha", "learning_rate", "batch_size"]
    line = "0000,unfinished,,2.0,1,1,0.9,,16,none,tanh,target,0.01,0.001,64"
    (folder / "trials.csv").write_text(f"{head},{','.join(names)}\n{line}\n")
    told = words(write_study_page(folder).read_text())
    gaps = "0.0500 below bias (0.9500), 0.0200 above hierarchical_bias (0.8800)"
    assert f"Validation RMSE 0.9000: trial 0000, epoch 1, so far; {gaps}. 1 trial: 1 unf" in told
    assert "The search selects by MAE." in told
    assert "The best 3 configurations are judged again on other validation ratings;" in told


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_errors_and_within_its_width(finished, width):
    page = write_study_page(finished)
    said = browsed(page, width, "--enable-logging=stderr", "--dump-dom")
    assert "CONSOLE" not in said.stderr and "</html>" in said.stdout
    script = """addEventListener("load", () => {
        const root = document.documentElement;
        const asked = performance.getEntriesByType("resource").map(entry => entry.name);
        document.title = JSON.stringify([root.scrollWidth - root.clientWidth, asked]);
    });"""
    wider, asked = titled(page, page.read_text(), width, script)
    assert wider <= 0 and asked == []


def test_a_long_table_is_cut_and_says_so(finished):
    rows = rows_of(finished)
    many = [{**rows[n % len(rows)], "trial_id": str(n)} for n in range(MOST_ROWS + 5)]
    write_rows(finished, many)
    assert "Best first; trials.csv has 5 more" in words(write_study_page(finished).read_text())


def test_a_damaged_table_is_one_line(finished):
    (finished / "trials.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"trials\.csv: "):
        write_study_page(finished)
