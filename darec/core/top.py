"""The items with the highest scores, without sorting all of them.

Shapes: B users, I items, n picked items of each user.
"""

import numpy as np
import numpy.typing as npt
import torch

from darec.data.ratings import FloatArray


def highest(score_BI: FloatArray, n: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the positions i64[B, n] and scores f32[B, n] of each row's n highest scores.

    Of equal scores, the one at the lower position is higher. Scores of -inf count as absent: their
    position is -1. Only rows whose n-th highest score is not alone are sorted as a whole.
    """
    found = torch.topk(torch.from_numpy(score_BI), min(n + 1, score_BI.shape[1]), dim=1)
    score_Bm, item_Bm = found.values.numpy(), found.indices.numpy()
    tied_B = (score_Bm[:, n - 1 : n] == score_Bm[:, n : n + 1]).any(1)
    item_Bm[tied_B] = np.argsort(-score_BI[tied_B], axis=1, kind="stable")[:, : item_Bm.shape[1]]
    order_Bn = np.lexsort((item_Bm, -score_Bm), axis=1)[:, :n]
    item_Bn, score_Bn = (np.take_along_axis(part, order_Bn, 1) for part in (item_Bm, score_Bm))
    return np.where(np.isneginf(score_Bn), -1, item_Bn), score_Bn
