"""The items with the highest scores, without sorting all of them.

Shapes: B users, I items, n picked items of each user.
"""

from typing import Any

import numpy as np

from darec.data.ratings import FloatArray
from darec.errors import UserError
from darec.serving.ids import Positions


def highest(score_BI: FloatArray, n: int) -> tuple[Positions, FloatArray]:
    """Return the positions i64[B, n] and scores f32[B, n] of each row's n highest scores.

    Equal scores are in the order of their positions, where both are among the n. Scores of -inf
    count as absent: their position is -1. The cost is linear in the items.
    """
    n = min(n, score_BI.shape[1])
    picked_Bn = np.argpartition(-score_BI, n - 1, axis=1)[:, :n]
    score_Bn = np.take_along_axis(score_BI, picked_Bn, 1)
    order_Bn = np.lexsort((picked_Bn, -score_Bn), axis=1)
    picked_Bn = np.take_along_axis(picked_Bn, order_Bn, 1)
    score_Bn = np.take_along_axis(score_Bn, order_Bn, 1)
    return np.where(np.isneginf(score_Bn), -1, picked_Bn), score_Bn


def check_n(n: Any) -> None:
    """Raise `UserError` unless n is a positive whole number."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise UserError(f"n must be a positive whole number, but got {n!r}")
