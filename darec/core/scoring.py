"""Scores of (row, column) pairs, computed for a bounded number of pairs at a time.

Shapes: N pairs asked for, n pairs of a chunk, B distinct rows of a chunk, M columns of the rating
matrix, K units.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from darec.core.backend import Backend
from darec.data.ratings import FloatArray, IntArray

PAIRS_AT_ONCE = 16384
"""Pairs of a chunk. Temporaries have at most this many rows of K."""


def score_pairs(
    rows: IntArray,
    columns: IntArray,
    hidden_of: Callable[[torch.Tensor], torch.Tensor],
    weight_MK: torch.Tensor,
    bias_M: torch.Tensor,
    backend: Backend,
) -> FloatArray:
    """Return a decoder's outputs ``hidden[row] . weight[column] + bias[column]``, f32[N].

    ``hidden_of`` maps distinct rows i64[B] to their hidden units [B, K].
    """

    def decoded(
        hidden_BK: torch.Tensor, row_n: torch.Tensor, column_n: torch.Tensor
    ) -> torch.Tensor:
        return backend.dots(hidden_BK, row_n, weight_MK, column_n) + bias_M[column_n]

    return score_in_chunks(rows, columns, weight_MK.device, hidden_of, decoded)


def score_in_chunks(
    rows: IntArray,
    columns: IntArray,
    device: torch.device,
    hidden_of: Callable[[torch.Tensor], torch.Tensor],
    score: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    at_once: int | None = None,
) -> FloatArray:
    """Return the scores f32[N] of (row, column) pairs, in the order asked for.

    ``hidden_of`` maps distinct rows i64[B] to their hidden units [B, K]. ``score`` maps these, the
    position of each pair's row among them i64[n] and its column i64[n] to scores [n]. Pairs are
    visited in the order of their rows, ``at_once`` at a time (by default `PAIRS_AT_ONCE`).
    """
    order, at_once = np.argsort(rows, kind="stable"), at_once or PAIRS_AT_ONCE
    scores = np.empty(len(rows), np.float32)
    with torch.no_grad():
        for begin in range(0, len(order), at_once):
            part = order[begin : begin + at_once]
            distinct, row_of = np.unique(rows[part], return_inverse=True)
            hidden_BK = hidden_of(_index(distinct, device))
            scored_n = score(hidden_BK, _index(row_of, device), _index(columns[part], device))
            scores[part] = scored_n.float().cpu().numpy()
    return scores


def _index(values: "np.ndarray[Any, Any]", device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)
