"""Winners of earlier searches, read from folders of results."""

import pytest

import darec
from darec.api.warm_start import winners_of
from darec.report.matrix.cells import Cell
from tests.report import made


def test_winners_are_found_by_model_each_once(tmp_path, caplog):
    for pair in ("toys_auto", "apps_games"):
        for model in ("bias", "cmf"):
            made.searched(Cell(pair, 90, model, True), tmp_path)
    found = winners_of([tmp_path])
    assert {model: len(configs) for model, configs in found.items()} == {"bias": 1, "cmf": 1}
    best = made.searched(Cell("toys_auto", 80, "bias", True), tmp_path / "more")
    assert winners_of([tmp_path / "more"]) == {"bias": [best.config]}
    (next((tmp_path / "more").rglob("best.json"))).write_text("{")
    assert len(winners_of([tmp_path])) == 2
    assert "--warm-start leaves out what cannot be read: " in caplog.text


def test_a_place_without_a_winner_is_told(tmp_path):
    assert winners_of([]) == {}
    with pytest.raises(darec.UserError, match=r"--warm-start .*: no finished search is in this"):
        winners_of([tmp_path])
