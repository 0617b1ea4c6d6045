"""Sparse-in, sampled-out linear layers over rating-sized weights.

Shapes: B rows of a batch, M columns of the rating matrix, K units, n observed ratings, L readings
of the same ratings. Weights are kept as [M, K], so that a rating reads one contiguous row of each.
On a CPU the loops are compiled (`kernels`) and gradients of [M, K] are sparse; elsewhere torch does
both, densely.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from darec.core import kernels
from darec.core.batches import RowBatch
from darec.data.ratings import FloatArray, IntArray

PAIRS_AT_ONCE = 16384
"""Pairs scored at a time in prediction: bounds the temporaries to this many rows of K."""


def encode(batch: RowBatch, weight_MK: torch.Tensor, bias_K: torch.Tensor) -> torch.Tensor:
    """Return ``ratings_BM @ weight_MK + bias_K``, reading only the columns that the rows rate."""
    # torch leaves `apply` of a Function without annotations
    # torch gives Function.apply no types, here and below
    sums_BK: torch.Tensor = _Encode.apply(weight_MK, batch)  # type: ignore[no-untyped-call]
    return sums_BK + bias_K


def decode(
    hidden_BK: torch.Tensor, weight_MK: torch.Tensor, bias_M: torch.Tensor, batch: RowBatch
) -> torch.Tensor:
    """Return ``(hidden_BK @ weight_MK.T + bias_M)`` at the batch's observed ratings only, [n].

    What only fills the batch is 0, as its values are, and passes no gradient.
    """
    # torch leaves `apply` of a Function without annotations
    dots_n: torch.Tensor = _Decode.apply(hidden_BK, weight_MK, batch)  # type: ignore[no-untyped-call]
    predicted_n = dots_n + bias_M.index_select(0, batch.columns)
    return predicted_n if batch.observed is None else predicted_n * batch.observed


def lookup(weight_MK: torch.Tensor, batch: RowBatch) -> torch.Tensor:
    """Return the weights of each rating's column, [n, K]; their gradient is that of few columns."""
    # torch leaves `apply` of a Function without annotations
    rows_nK: torch.Tensor = _Lookup.apply(weight_MK, batch)  # type: ignore[no-untyped-call]
    return rows_nK


class _Encode(torch.autograd.Function):
    """Sums of weight rows; its gradient in the weights is a scatter of output gradients."""

    @staticmethod
    def forward(ctx: Any, weight_MK: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        ctx.shape, ctx.batch = weight_MK.shape, batch
        return _weighted_sums(batch, batch.values, weight_MK)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        batch = ctx.batch
        return _scatter(batch, batch.row_of, batch.values, grads[0], ctx.shape), None


class _Decode(torch.autograd.Function):
    """Dot products at observed ratings, without [n, K] operands kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden_BK: torch.Tensor, weight_MK: torch.Tensor, batch: RowBatch
    ) -> torch.Tensor:
        ctx.save_for_backward(hidden_BK, weight_MK)
        ctx.batch = batch
        return _dots(hidden_BK, batch.row_of, weight_MK, batch.columns)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (hidden_BK, weight_MK), batch = ctx.saved_tensors, ctx.batch
        grad_BK = _weighted_sums(batch, grads[0], weight_MK)
        grad_MK = _scatter(batch, batch.row_of, grads[0], hidden_BK, weight_MK.shape)
        return grad_BK, grad_MK, None


class _Lookup(torch.autograd.Function):
    """Rows of weights, one a rating; its gradient is a scatter of as many rows."""

    @staticmethod
    def forward(ctx: Any, weight_MK: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        ctx.shape, ctx.batch = weight_MK.shape, batch
        return weight_MK.index_select(0, batch.columns)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grad_nK,) = grads
        each_n = torch.arange(len(grad_nK), device=grad_nK.device)
        return _scatter(ctx.batch, each_n, grad_nK.new_ones(len(each_n)), grad_nK, ctx.shape), None


def score_pairs(
    rows: IntArray,
    columns: IntArray,
    hidden_of: Callable[[torch.Tensor], torch.Tensor],
    weight_MK: torch.Tensor,
    bias_M: torch.Tensor,
) -> FloatArray:
    """Return the decoder's outputs f32[N] at (row, column) pairs only: `score_in_chunks`."""

    def decoded(
        hidden_BK: torch.Tensor, row_n: torch.Tensor, column_n: torch.Tensor
    ) -> torch.Tensor:
        return _dots(hidden_BK, row_n, weight_MK, column_n) + bias_M[column_n]

    return score_in_chunks(rows, columns, weight_MK.device, hidden_of, decoded)


def score_in_chunks(
    rows: IntArray,
    columns: IntArray,
    device: torch.device,
    hidden_of: Callable[[torch.Tensor], torch.Tensor],
    score: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    at_once: int | None = None,
) -> FloatArray:
    """Return scores f32[N] of (row, column) pairs only, in the order asked.

    ``hidden_of`` maps distinct rows i64[B] to hidden_BK, and ``score`` those, the positions among
    them i64[n] and columns i64[n] to scores [n]; pairs are visited in row order, in chunks.
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


def _weighted_sums(
    batch: RowBatch, factor_n: torch.Tensor, weight_MK: torch.Tensor
) -> torch.Tensor:
    """Return the sum of a row's ratings' factors times their columns' weights, [B, K]."""
    if not kernels.serve(weight_MK.device):
        return F.embedding_bag(
            batch.columns,
            weight_MK,
            batch.starts,
            mode="sum",
            per_sample_weights=factor_n,
            include_last_offset=True,
        )
    out_BK = weight_MK.new_empty(len(batch.rows), weight_MK.shape[1])
    kernels.gather_sums(*_arrays(batch.starts, batch.columns, factor_n, weight_MK, out_BK))
    return out_BK


def _dots(
    hidden_BK: torch.Tensor, row_n: torch.Tensor, weight_MK: torch.Tensor, column_n: torch.Tensor
) -> torch.Tensor:
    """Return ``hidden_BK[row] . weight_MK[column]``, [n]."""
    if not kernels.serve(weight_MK.device):
        hidden_nK = hidden_BK.index_select(0, row_n)
        dots_n: torch.Tensor = torch.linalg.vecdot(hidden_nK, weight_MK.index_select(0, column_n))
        return dots_n
    out_n = weight_MK.new_empty(len(row_n))
    kernels.sampled_dots(*_arrays(row_n, column_n, hidden_BK, weight_MK, out_n))
    return out_n


def _scatter(
    batch: RowBatch,
    row_n: torch.Tensor,
    factor_n: torch.Tensor,
    rows_BK: torch.Tensor,
    shape: torch.Size,
) -> torch.Tensor:
    """Return the sum of ``factor * rows[row]`` per column, [M, K]: on a CPU only touched ones."""
    if not kernels.serve(rows_BK.device):
        contributions_nK = rows_BK.index_select(0, row_n).mul_(factor_n[:, None])
        return rows_BK.new_zeros(shape).index_add_(0, batch.columns, contributions_nK)
    touched = batch.touched
    out_TK = rows_BK.new_empty(len(touched.columns), shape[1])
    by_column = touched.starts, touched.by_column, row_n
    kernels.column_sums(*_arrays(*by_column, factor_n, rows_BK, out_TK))
    return torch.sparse_coo_tensor(touched.columns[None], out_TK, shape, check_invariants=False)


def squared_errors(
    batch: RowBatch,
    weight_LB: torch.Tensor,
    hidden_LBK: torch.Tensor,
    decoder_MK: torch.Tensor,
    bias_M: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return each row's squared errors of `decode` [L, B] on a CPU, without autograd.

    And the slopes of their weighted sum in the predictions [L, n] and in ``hidden`` [L, B, K];
    those in ``bias`` are added to its gradient.
    """
    slope_Ln = torch.empty(len(hidden_LBK), len(batch.values), dtype=hidden_LBK.dtype)
    error_LB, slope_LBK = torch.empty_like(weight_LB), torch.empty_like(hidden_LBK)
    inputs = batch.starts, batch.columns, batch.values, weight_LB, hidden_LBK, decoder_MK, bias_M
    assert bias_M.grad is not None
    kernels.decoder_errors(*_arrays(*inputs, error_LB, slope_Ln, slope_LBK, bias_M.grad))
    return error_LB, slope_Ln, slope_LBK


def _arrays(*tensors: torch.Tensor) -> list["np.ndarray[Any, Any]"]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _index(values: "np.ndarray[Any, Any]", device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)
