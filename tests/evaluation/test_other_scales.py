"""Scores on other scales: errors in own units, and as shares of the range."""

import math

import numpy as np
import pytest

from darec.core.config import plain
from darec.data.scale import STARS, Scale
from darec.evaluation import kept
from darec.evaluation.evaluate import evaluate
from darec.evaluation.frame import frame
from darec.evaluation.scores import ERRORS, Score
from darec.evaluation.summary import comparison, table, title
from darec.models import MODELS
from tests.evaluation.made import score_of
from tests.models.common import config
from tests.scales import on
from tests.winners import winner_on

SOURCE, TARGET = Scale(0.5, 5), Scale(0, 100)


@pytest.fixture(scope="module", params=["bias", "cmf", "u_darec"])
def both(request, tiny_pair):
    """The scores on stars, and on other scales."""
    kind, own = MODELS[request.param], plain(config(request.param))
    pairs = tiny_pair, on(tiny_pair, SOURCE, TARGET)
    return [
        evaluate(kind, winner_on(pair, request.param, config=own), pair, 0, 0) for pair in pairs
    ]


def test_every_error_is_in_own_units(both):
    for known, other in zip(*both, strict=True):
        assert (other.scale, other.source_scale) == (TARGET, SOURCE)
        assert other.epoch == known.epoch and other.beats_bias == known.beats_bias
        for name in ERRORS:
            unit = 1.125 if name == "rmse_source" else 25
            error = getattr(known, name)
            assert getattr(other, name) == (error and pytest.approx(unit * error))
        assert other.rmse_both is None, "a sum of two units means nothing"
        assert (known.rmse_both is None) == (known.rmse_source is None)
        if other.ranking:
            assert other.ranking.model == known.ranking.model
        assert other.test_rmse_by_range == pytest.approx(known.test_rmse / 4)
        assert known.test_rmse_by_range is None


def test_tables_name_the_scale_and_give_the_share_of_the_range(both):
    known, other = both
    assert ", ratings from 0 to 100, source ratings from 0.5 to 5, 1 seeds" in title(other)
    assert "ratings from" not in title(known)
    assert "test RMSE / range" in table(other).index
    assert "test RMSE / range" not in table(known).index
    assert "RMSE / range" in comparison(other) and "RMSE / range" not in comparison(known)
    rows = frame([*known, *other])
    assert rows["scale"].tolist() == ["1 to 5"] * 3 + ["0 to 100"] * 3
    assert np.isnan(rows["test_rmse_by_range"]).tolist() == [True] * 3 + [False] * 3


def test_scores_come_back_from_their_file(both, tmp_path):
    kept.append(tmp_path / "scores.jsonl", both[1])
    assert kept.read(tmp_path / "scores.jsonl", Score) == both[1]


def test_no_error_is_larger_than_the_range():
    likes = Scale(0, 1)
    errors = dict.fromkeys(("valid_rmse", "test_rmse", "test_mae", "warm_rmse"), 0.5)
    errors |= dict.fromkeys(("bias_rmse", "hierarchical_rmse", "mean_rmse"), 0.5)
    assert score_of(scale=likes, **errors).test_rmse_by_range == 0.5
    with pytest.raises(ValueError, match="mean_rmse must be at most 1, the range of the scale"):
        score_of(scale=likes, **{**errors, "mean_rmse": 1.1})
    assert score_of(rmse_source=3.0, source_scale=STARS, scale=likes, **errors)
    with pytest.raises(ValueError, match="rmse_source must be at most 1"):
        score_of(rmse_source=3.0, source_scale=likes, scale=STARS)
    assert math.isclose(likes.unit, 0.25)
