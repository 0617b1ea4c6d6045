"""RMSE and MAE in stars over held-out ratings. Every rating needs a finite prediction."""

import numpy as np
import numpy.typing as npt

from darec.data.ratings import HIGHEST, LOWEST, FloatArray


def clip(predictions: FloatArray) -> FloatArray:
    """Clip predictions to the star scale [1, 5] (section 4.1)."""
    return np.clip(predictions, LOWEST, HIGHEST)


def rmse(predictions: FloatArray, truth: FloatArray) -> float:
    """Return the root mean squared error over held-out ratings (section 4.1).

    Raises ``ValueError`` when a prediction is missing or not finite, as `mae` does.
    """
    return float(np.sqrt(np.mean(np.square(_errors(predictions, truth)))))


def mae(predictions: FloatArray, truth: FloatArray) -> float:
    """Return the mean absolute error over held-out ratings."""
    return float(np.mean(np.abs(_errors(predictions, truth))))


def _errors(predictions: FloatArray, truth: FloatArray) -> npt.NDArray[np.float64]:
    if predictions.shape != truth.shape or not len(truth):
        shapes = f"{predictions.shape} and {truth.shape}"
        raise ValueError(f"predictions and truth must have one non-empty shape, but got {shapes}")
    if not np.isfinite(predictions).all():
        bad = int((~np.isfinite(predictions)).sum())
        raise ValueError(f"{bad} of {len(predictions)} predictions are not finite")
    return predictions.astype(np.float64) - truth
