"""Linear layers over rating-sized weights that read and write observed ratings only.

Shapes: B rows of a batch, M columns of the rating matrix, K units, n observed ratings. Weights are
kept as [M, K], so that each rating reads one contiguous row of a weight.
"""

from typing import Any

import torch

from darec.core.backend import Backend
from darec.core.batches import RowBatch


def encode(
    batch: RowBatch, weight_MK: torch.Tensor, bias_K: torch.Tensor, backend: Backend
) -> torch.Tensor:
    """Return ``ratings_BM @ weight_MK + bias_K``, reading only the columns that the rows rate."""
    # torch does not annotate Function.apply, here and below
    sums_BK: torch.Tensor = _Encode.apply(weight_MK, batch, backend)  # type: ignore[no-untyped-call]
    return sums_BK + bias_K


def decode(
    hidden_BK: torch.Tensor,
    weight_MK: torch.Tensor,
    bias_M: torch.Tensor,
    batch: RowBatch,
    backend: Backend,
) -> torch.Tensor:
    """Return ``hidden_BK @ weight_MK.T + bias_M`` at the batch's observed ratings only, [n].

    Padding entries predict 0 and carry no gradient.
    """
    dots_n: torch.Tensor = _Decode.apply(  # type: ignore[no-untyped-call]
        hidden_BK, weight_MK, batch, backend
    )
    predicted_n = dots_n + bias_M.index_select(0, batch.columns)
    return predicted_n if batch.observed is None else predicted_n * batch.observed


def lookup(weight_MK: torch.Tensor, batch: RowBatch, backend: Backend) -> torch.Tensor:
    """Return the weights of each rating's column, [n, K]."""
    rows_nK: torch.Tensor = _Lookup.apply(weight_MK, batch, backend)  # type: ignore[no-untyped-call]
    return rows_nK


class _Encode(torch.autograd.Function):
    """Sums of weight rows."""

    @staticmethod
    def forward(
        ctx: Any, weight_MK: torch.Tensor, batch: RowBatch, backend: Backend
    ) -> torch.Tensor:
        ctx.n_columns, ctx.batch, ctx.backend = len(weight_MK), batch, backend
        return backend.weighted_sums(batch, batch.values, weight_MK)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grad_BK,), batch = grads, ctx.batch
        grad_MK = ctx.backend.column_sums(batch, batch.row_of, batch.values, grad_BK, ctx.n_columns)
        return grad_MK, None, None


class _Decode(torch.autograd.Function):
    """Dot products at observed ratings, without [n, K] operands kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_BK: torch.Tensor,
        weight_MK: torch.Tensor,
        batch: RowBatch,
        backend: Backend,
    ) -> torch.Tensor:
        ctx.save_for_backward(hidden_BK, weight_MK)
        ctx.batch, ctx.backend = batch, backend
        return backend.dots(hidden_BK, batch.row_of, weight_MK, batch.columns)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        (hidden_BK, weight_MK), (grad_n,), batch = ctx.saved_tensors, grads, ctx.batch
        grad_BK = ctx.backend.weighted_sums(batch, grad_n, weight_MK)
        grad_MK = ctx.backend.column_sums(batch, batch.row_of, grad_n, hidden_BK, len(weight_MK))
        return grad_BK, grad_MK, None, None


class _Lookup(torch.autograd.Function):
    """Rows of a weight, one for each rating."""

    @staticmethod
    def forward(
        ctx: Any, weight_MK: torch.Tensor, batch: RowBatch, backend: Backend
    ) -> torch.Tensor:
        ctx.n_columns, ctx.batch, ctx.backend = len(weight_MK), batch, backend
        return weight_MK.index_select(0, batch.columns)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grad_nK,) = grads
        each_n = torch.arange(len(grad_nK), device=grad_nK.device)
        one_n = grad_nK.new_ones(len(each_n))
        grad_MK = ctx.backend.column_sums(ctx.batch, each_n, one_n, grad_nK, ctx.n_columns)
        return grad_MK, None, None
