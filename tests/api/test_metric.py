"""Searches that select by another metric than RMSE."""

from dataclasses import replace

import numpy as np
import pytest

import darec
from darec.evaluation.summary import comparison, ranking_table, title
from darec.serving.folder import read_card
from darec.tuning.study.trials_table import COLUMNS
from tests.evaluation.made import score_of
from tests.reporting import Recorder
from tests.winners import saved, winner_on


@pytest.mark.ray
@pytest.mark.parametrize(
    ("metric", "told"),
    [pytest.param("mae", "MAE 0.", marks=pytest.mark.nightly), ("ndcg@10", "NDCG@10 0.")],
)
def test_the_winner_has_the_best_value_of_the_metric(cluster, tiny_pair, tmp_path, metric, told):
    recorder = Recorder()
    options = {"trials": 4, "max_epochs": 6, "out": tmp_path, "scheduler": "none"}
    result = darec.search("cmf", tiny_pair, metric=metric, reporter=recorder, **options)
    trials = result.trials
    assert list(trials["objective"]) == sorted(trials["objective"])
    assert result.best.trial_id == trials["trial_id"].iloc[0]
    assert result.best.valid_rmse == trials["best_valid_rmse"].iloc[0]
    assert recorder.has(f"  metric     {metric} on the validation ratings selects")
    assert recorder.has(f"  selected by its validation {told}")
    scores = darec.evaluate(result, tiny_pair, seeds=2, at_once=1)
    assert set(scores["metric"]) == {metric}
    searched = scores[scores["searched_split"]].iloc[0]
    assert (searched["epoch"], searched["valid_rmse"]) == (
        result.best.epoch,
        pytest.approx(result.best.valid_rmse),
    )
    card = read_card(result.folder / "model")
    assert card.metric == metric and len(card.scores) == 3
    assert f"by {metric.upper()}" in (result.folder / "model" / "README.md").read_text()
    with pytest.raises(darec.UserError, match="--resume needs the same --metric"):
        darec.search("cmf", tiny_pair, resume=True, **options)
    with pytest.raises(darec.UserError, match=f"needs searches by RMSE, .* selected by {metric}"):
        darec.stack([result], tiny_pair)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "auc"}, "--metric must be one of rmse, mae, ndcg@10, but got 'auc'"),
        ({"metric": "cold_rmse"}, "--metric cold_rmse: .*; search with --task cold_users"),
        ({"metric": "mae", "rejudge": 5}, "--rejudge needs --metric rmse: .* got --metric mae"),
        (
            {"metric": "ndcg@10", "stop_when_flat": True},
            "--stop-when-flat needs --metric rmse: .* got --metric ndcg@10",
        ),
    ],
)
def test_what_does_not_go_together_is_reported_at_once(tiny_pair, tmp_path, options, words):
    with pytest.raises(darec.UserError, match=words):
        darec.search("bias", tiny_pair, out=tmp_path, **options)
    assert not any(tmp_path.iterdir())


def test_first_stages_need_high_ratings_as_well(tiny_pair, tmp_path):
    low = np.minimum(tiny_pair.source.values, 3.0)
    pair = replace(tiny_pair, source=replace(tiny_pair.source, values=low))
    with pytest.raises(darec.UserError, match="--metric ndcg@10: the highest validation rating"):
        darec.search("u_darec", pair, metric="ndcg@10", out=tmp_path)
    assert not any(tmp_path.iterdir())


def test_tables_tell_searches_by_several_metrics_apart():
    by_rmse = score_of(model="cmf", test_rmse=1.0)
    better = {"test_rmse": 0.9, "beats_bias": True, "beats_hierarchical": True}
    by_mae = score_of(model="cmf", metric="mae", **better)
    assert title([by_rmse]).startswith("cmf on ")
    assert title([by_mae]).startswith("cmf (by mae) on ")
    for table in (comparison([by_rmse, by_mae]), ranking_table([by_rmse, by_mae])):
        assert list(table.index)[:2] == ["cmf (by mae)", "cmf"]
    assert by_rmse.key != by_mae.key


def test_a_table_without_the_winners_objective_is_reported(tiny_pair, tmp_path):
    best = winner_on(tiny_pair, "mean", trials=1, trial_id="t", max_epochs=1, metric="mae")
    study = tmp_path / "tiny-90" / "mean"
    saved(best, study)
    line = f"t,completed,,1.0,1,{best.epoch},{best.valid_rmse},"
    (study / "trials.csv").write_text(f"{','.join(COLUMNS)}\n{line}\n")
    with pytest.raises(darec.UserError, match=r"trials.csv: it lacks the columns objective"):
        _ = darec.load_result(study).trials
