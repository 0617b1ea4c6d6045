"""What a command tells after several searches."""

import pytest

import darec
from darec.api import search_all, stack
from darec.cli import searches
from darec.cli.searches import search_pairs, winners
from tests.reporting import Recorder
from tests.winners import saved, winner_of


def test_winners_are_listed_best_first_with_the_baselines_once(tmp_path):
    results = []
    for model, valid_rmse in (("bias", 0.95), ("cmf", 0.91), ("conet", 0.99)):
        baselines = {"bias_valid_rmse": 0.97, "hierarchical_valid_rmse": 0.94}
        best, folder = (
            winner_of(model, valid_rmse=valid_rmse, **baselines),
            tmp_path / "x-90" / model,
        )
        saved(best, folder)
        results.append(darec.load_result(folder))
    table = winners(results)
    assert table.index.name == "model"
    assert table.index.tolist() == ["cmf", "bias", "conet", "bias, untuned", "hierarchical biases"]
    assert table["validation RMSE"].tolist() == ["0.9100", "0.9500", "0.9900", "0.9700", "0.9400"]
    assert table["minus hierarchical"].tolist() == ["-0.0300", "+0.0100", "+0.0500", "-", "-"]


def test_models_that_have_a_winner_are_stacked_and_told_where_others_fail(
    tiny_pair, tmp_path, monkeypatch
):
    results, stacked = [], []
    for model, valid_rmse in (("bias", 0.95), ("cmf", 0.91)):
        saved(winner_of(model, valid_rmse=valid_rmse), tmp_path / "x-90" / model)
        results.append(darec.load_result(tmp_path / "x-90" / model))

    def fails(*_, **__):
        raise search_all.SomeFailed(["conet"], results[:])

    def blended(given, *_, **__):
        stacked.append(list(given))
        raise darec.UserError("no stack of these")

    monkeypatch.setattr(search_all, "search_all", fails)
    monkeypatch.setattr(stack, "stack", blended)
    answered = []
    monkeypatch.setattr(searches, "answer_winner", lambda _, result: answered.append(result))
    recorder = Recorder()
    models = {tiny_pair: ["bias", "conet", "cmf"]}
    with pytest.raises(darec.UserError, match="1 of 3 models have no winner: conet"):
        search_pairs(models, True, False, {"fit": False}, recorder)
    assert stacked == [results] and answered == results
    ((_, table),) = recorder.tables
    assert table.index.tolist()[:2] == ["cmf", "bias"]
