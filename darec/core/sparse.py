"""Sparse-in, sampled-out linear layers: the only code that touches rating-sized weights.

Shapes: B rows of a batch, M columns of the rating matrix, K units, n observed ratings. Weights are
kept as [M, K], so that a rating reads one contiguous row of each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from darec.core.batches import RowBatch
from darec.data.ratings import FloatArray, IntArray

PAIRS_AT_ONCE = 16384
"""Pairs scored at a time in prediction: bounds the temporaries to this many rows of K."""


def encode(batch: RowBatch, weight_MK: torch.Tensor, bias_K: torch.Tensor) -> torch.Tensor:
    """Return ``ratings_BM @ weight_MK + bias_K``, reading only the columns that the rows rate."""
    return bias_K + _weighted_sum(batch, weight_MK, batch.values)


def decode(
    hidden_BK: torch.Tensor, weight_MK: torch.Tensor, bias_M: torch.Tensor, batch: RowBatch
) -> torch.Tensor:
    """Return ``(hidden_BK @ weight_MK.T + bias_M)`` at the batch's observed ratings only, [n]."""
    dots_n: torch.Tensor = _SampledDots.apply(hidden_BK, weight_MK, batch)  # type: ignore[no-untyped-call]
    return dots_n + F.embedding(batch.columns, bias_M[:, None])[:, 0]


class _SampledDots(torch.autograd.Function):
    """``hidden_BK[row_of] . weight_MK[columns]`` without keeping the gathered [n, K] operands."""

    @staticmethod
    def forward(
        ctx: Any, hidden_BK: torch.Tensor, weight_MK: torch.Tensor, batch: RowBatch
    ) -> torch.Tensor:
        ctx.save_for_backward(hidden_BK, weight_MK)
        ctx.batch = batch
        return _dots(hidden_BK, batch.row_of, weight_MK, batch.columns)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        grad_n, batch = grads[0], ctx.batch
        hidden_BK, weight_MK = ctx.saved_tensors
        grad_BK = _weighted_sum(batch, weight_MK, grad_n)
        contributions_nK = hidden_BK.index_select(0, batch.row_of).mul_(grad_n[:, None])
        grad_MK = torch.zeros_like(weight_MK).index_add_(0, batch.columns, contributions_nK)
        return grad_BK, grad_MK, None


def score_pairs(
    rows: IntArray,
    columns: IntArray,
    hidden_of: Callable[[torch.Tensor], torch.Tensor],
    weight_MK: torch.Tensor,
    bias_M: torch.Tensor,
) -> FloatArray:
    """Return the decoder's outputs f32[N] at (row, column) pairs only, in the order asked.

    ``hidden_of`` maps distinct rows i64[B] to hidden_BK; pairs are visited in row order, in chunks.
    """
    order = np.argsort(rows, kind="stable")
    scores = np.empty(len(rows), np.float32)
    with torch.no_grad():
        for begin in range(0, len(order), PAIRS_AT_ONCE):
            part = order[begin : begin + PAIRS_AT_ONCE]
            distinct, row_of = np.unique(rows[part], return_inverse=True)
            hidden_BK = hidden_of(_index(distinct, weight_MK.device))
            column_n = _index(columns[part], weight_MK.device)
            dots_n = _dots(hidden_BK, _index(row_of, weight_MK.device), weight_MK, column_n)
            scores[part] = (dots_n + bias_M[column_n]).float().cpu().numpy()
    return scores


def _weighted_sum(batch: RowBatch, weight_MK: torch.Tensor, factor_n: torch.Tensor) -> torch.Tensor:
    return F.embedding_bag(
        batch.columns, weight_MK, batch.offsets, mode="sum", per_sample_weights=factor_n
    )


def _dots(
    hidden_BK: torch.Tensor, row_n: torch.Tensor, weight_MK: torch.Tensor, column_n: torch.Tensor
) -> torch.Tensor:
    hidden_nK = hidden_BK.index_select(0, row_n)
    dots_n: torch.Tensor = torch.linalg.vecdot(hidden_nK, weight_MK.index_select(0, column_n))
    return dots_n


def _index(values: "np.ndarray[Any, Any]", device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)
