"""The items with the highest scores, without sorting all of them.

Shapes: B users, I items, n picked items of each user.
"""

import numpy as np
import numpy.typing as npt

from darec.data.ratings import FloatArray


def highest(score_BI: FloatArray, n: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the positions i64[B, n] and scores f32[B, n] of each row's n highest scores.

    Of equal scores, the one at the lower position is higher. Scores of -inf count as absent: their
    position is -1. The cost is linear in the items: each gets one whole number as its key, the bits
    of its score, turned so that they ascend as scores fall, and then its position. No two keys are
    equal, so that the lowest n are well defined and need not be sorted among all.
    """
    n_items = score_BI.shape[1]
    bits_BI = np.add(score_BI, 0, dtype=np.float32).view(np.int32)  # -0.0 becomes 0.0
    bits_BI ^= bits_BI >> 31 & np.int32(2**31 - 1)  # negative numbers ascend, too
    key_BI = np.arange(n_items) - (bits_BI.astype(np.int64) << 32)
    if n < n_items:
        key_BI = np.partition(key_BI, n - 1, axis=1)[:, :n]
    picked_Bn = np.sort(key_BI, axis=1) & (2**32 - 1)
    score_Bn = np.take_along_axis(score_BI, picked_Bn, 1)
    return np.where(np.isneginf(score_Bn), -1, picked_Bn), score_Bn
