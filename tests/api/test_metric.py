"""Searches that select by another metric than RMSE."""

import pytest

import darec
from darec.evaluation.summary import comparison, title
from darec.serving.folder import read_card
from tests.evaluation.made import score_of
from tests.reporting import Recorder


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
def test_what_does_not_go_together_is_told_at_once(tiny_pair, tmp_path, options, words):
    with pytest.raises(darec.UserError, match=words):
        darec.search("bias", tiny_pair, out=tmp_path, **options)
    assert not any(tmp_path.iterdir())


def test_tables_name_a_metric_that_is_not_rmse():
    by_rmse, by_mae = score_of(model="cmf"), score_of(model="cmf", metric="mae")
    assert title([by_rmse]).startswith("cmf on ")
    assert title([by_mae]).startswith("cmf (by mae) on ")
    assert "cmf (by mae)" in comparison([by_mae]).index
