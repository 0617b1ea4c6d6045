import numpy as np
import pytest

from darec.core.metrics import clip, mae, rmse


def stars(*values):
    return np.array(values, np.float32)


def test_rmse_and_mae_by_hand():
    assert rmse(stars(1, 4), stars(4, 4)) == pytest.approx((9 / 2) ** 0.5)
    assert mae(stars(1, 4), stars(4, 4)) == 1.5


def test_predictions_are_clipped_to_the_star_scale():
    assert clip(stars(-3, 2.5, 9)).tolist() == [1.0, 2.5, 5.0]


@pytest.mark.parametrize("predictions", [stars(1), stars(1, np.nan), stars()])
def test_a_missing_prediction_raises(predictions):
    with pytest.raises(ValueError, match="predictions"):
        rmse(predictions, stars(4, 4) if len(predictions) else stars())
