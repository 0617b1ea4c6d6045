"""The items with the highest scores, without sorting all of them.

Shapes: B users, C of them with ties, I items, n picked items of each user, m: n and one more.
"""

import numpy as np
import numpy.typing as npt
import torch

from darec.data.ratings import FloatArray


def highest(score_BI: FloatArray, n: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the positions i64[B, n] and scores f32[B, n] of each row's n highest scores.

    Of equal scores, the one at the lower position comes first. Scores of -inf count as absent:
    their position is -1. In a row whose n-th and next scores are equal, all scores of at least
    that value are sorted to break the tie.
    """
    found = torch.topk(torch.from_numpy(score_BI), min(n + 1, score_BI.shape[1]), dim=1)
    score_Bm, item_Bm = found.values.numpy(), found.indices.numpy()
    tied_B = (score_Bm[:, n - 1 : n] == score_Bm[:, n : n + 1]).any(1)
    score_Bn, item_Bn = score_Bm[:, :n], item_Bm[:, :n]
    if tied_B.any():
        tied_CI = score_BI[tied_B]
        row, item = np.nonzero(tied_CI >= score_Bn[tied_B, -1:])
        order = np.lexsort((item, -tied_CI[row, item], row))
        first_C = np.searchsorted(row, np.arange(len(tied_CI)))
        item_Bn[tied_B] = item[order[first_C[:, None] + np.arange(n)]]
    order_Bn = np.lexsort((item_Bn, -score_Bn), axis=1)
    item_Bn, score_Bn = (np.take_along_axis(part, order_Bn, 1) for part in (item_Bn, score_Bn))
    return np.where(np.isneginf(score_Bn), -1, item_Bn), score_Bn
