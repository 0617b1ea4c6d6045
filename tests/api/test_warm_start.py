"""Winners of earlier searches, read from folders of results."""

from functools import partial
from shutil import rmtree

import pytest

import darec
from darec.api.warm_start import winners_for, winners_of
from darec.report.matrix.cells import Cell
from search_spaces import SPACES
from tests.report import made


def test_winners_are_found_by_model_each_once(tmp_path, caplog):
    for pair in ("toys_auto", "apps_games"):
        for model in ("bias", "cmf"):
            made.searched(Cell(pair, 90, model, True), tmp_path)
    found = winners_of([tmp_path])
    assert {model: len(configs) for model, configs in found.items()} == {"bias": 1, "cmf": 1}
    best = made.searched(Cell("toys_auto", 80, "bias", True), tmp_path / "more")
    assert winners_of([tmp_path / "more"]) == {"bias": [best.config]}
    assert list(winners_for("cmf", tmp_path)) == ["cmf"]
    (next((tmp_path / "more").rglob("best.json"))).write_text("{")
    assert len(winners_of([tmp_path])) == 2
    assert "--warm-start leaves out what cannot be read: " in caplog.text


def test_a_place_without_a_winner_is_reported(tmp_path):
    assert winners_of([]) == {}
    with pytest.raises(darec.UserError, match=r"--warm-start .*: no finished search is in this"):
        winners_of([tmp_path])


@pytest.mark.ray
def test_a_search_begins_with_an_earlier_winner_then_the_good_guess(cluster, tiny_pair, tmp_path):
    best = made.searched(Cell("toys_auto", 90, "bias", True), tmp_path / "earlier")
    search = partial(
        darec.search,
        "bias",
        tiny_pair,
        trials=4,
        out=tmp_path / "out",
        warm_start=tmp_path / "earlier",
        at_once=1,
        fit=False,
    )
    drawn = drawn_by(search())
    assert drawn[0] == {name: best.config[name] for name in drawn[0]}
    assert drawn[1] == SPACES["bias"].start != drawn[0]
    (folder,) = (path.parent for path in (tmp_path / "out").rglob("study.json"))
    for path in folder.iterdir():  # as if it had been killed before its first snapshot
        if path.name != "study.json":
            rmtree(path) if path.is_dir() else path.unlink()
    assert drawn_by(search(resume=True)) == drawn


def drawn_by(result):
    """What the trials of a search drew, in order."""
    trials = result.trials.set_index("trial_id").sort_index()
    return [dict(row) for _, row in trials[["reg_user", "reg_item"]].iterrows()]
