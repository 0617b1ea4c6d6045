"""The backend of CPUs: loops over observed ratings that numba compiles, and a lazy Adam.

Shapes: B rows of a batch, M columns of the rating matrix, T of them touched by a batch, K units,
n ratings of a batch, L readings of the same ratings, S batches of an epoch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from darec.core import numba_kernels
from darec.core.adam import Decay
from darec.core.batches import RowBatch, TouchedColumns
from darec.core.lazy_adam import LazyAdam


class NumbaBackend:
    """`darec.core.backend.Backend` by compiled loops of one thread; gradients are sparse."""

    def touched_columns(
        self, epoch: RowBatch, edges_S1: list[int], n_columns: int
    ) -> tuple[torch.Tensor, list[TouchedColumns]]:
        """Group the ratings of each batch of an epoch by column."""
        n_batches = len(edges_S1) - 1
        size = len(epoch.columns) + n_batches
        columns, starts, next_batch = (torch.empty(size, dtype=torch.int64) for _ in range(3))
        ratings = torch.empty_like(epoch.columns)
        first_M = torch.empty(n_columns, dtype=torch.int64)
        bounds_S1 = np.empty(n_batches + 1, np.int64)
        numba_kernels.group_by_column(
            np.array(edges_S1),
            epoch.columns.numpy(),
            ratings.numpy(),
            columns.numpy(),
            starts.numpy(),
            next_batch.numpy(),
            bounds_S1,
            first_M.numpy(),
        )
        return first_M, [
            TouchedColumns(
                columns[a : b - 1], starts[a:b], ratings[low:high], next_batch[a : b - 1]
            )
            for (low, high), (a, b) in zip(pairwise(edges_S1), pairwise(bounds_S1), strict=True)
        ]

    def adam(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> LazyAdam:
        """Return a lazy Adam of rating-sized ``weights`` [M, K] and of all ``others``."""
        return LazyAdam(weights, others, learning_rate, l2, decay)

    def weighted_sums(
        self, batch: RowBatch, factor_n: torch.Tensor, weight_MK: torch.Tensor
    ) -> torch.Tensor:
        """Return, for each row, the sum over its ratings of ``factor * weight[column]``, [B, K]."""
        out_BK = weight_MK.new_empty(len(batch.rows), weight_MK.shape[1])
        numba_kernels.gather_sums(
            *_arrays(batch.starts, batch.columns, factor_n, weight_MK, out_BK)
        )
        return out_BK

    def dots(
        self,
        hidden_BK: torch.Tensor,
        row_n: torch.Tensor,
        weight_MK: torch.Tensor,
        column_n: torch.Tensor,
    ) -> torch.Tensor:
        """Return the dot products ``hidden[row] . weight[column]``, [n]."""
        out_n = weight_MK.new_empty(len(row_n))
        numba_kernels.sampled_dots(*_arrays(row_n, column_n, hidden_BK, weight_MK, out_n))
        return out_n

    def column_sums(
        self,
        batch: RowBatch,
        row_n: torch.Tensor,
        factor_n: torch.Tensor,
        rows_BK: torch.Tensor,
        n_columns: int,
    ) -> torch.Tensor:
        """Return, for each column, the sum over its ratings of ``factor * rows[row]``, [M, K].

        The result is a sparse tensor with the touched columns only.
        """
        touched, shape = batch.touched, (n_columns, rows_BK.shape[1])
        out_TK = rows_BK.new_empty(len(touched.columns), shape[1])
        numba_kernels.column_sums(
            *_arrays(touched.starts, touched.ratings, row_n, factor_n, rows_BK, out_TK)
        )
        return torch.sparse_coo_tensor(touched.columns[None], out_TK, shape, check_invariants=False)


def squared_errors(
    batch: RowBatch,
    weight_LB: torch.Tensor,
    hidden_LBK: torch.Tensor,
    decoder_MK: torch.Tensor,
    bias_M: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the squared errors of ``hidden . decoder + bias`` and gradients, without autograd.

    Each row's ratings are predicted from L hidden layers, one after another (L readings). Returns
    the sum of squared errors of each row [L, B]. The loss adds these up, each times its
    ``weight``. Also returns the gradients of the loss with respect to the predictions [L, n] and
    to ``hidden`` [L, B, K]. The gradient with respect to ``bias`` is added to ``bias.grad``, if
    there is one.
    """
    slope_Ln = torch.empty(len(hidden_LBK), len(batch.values), dtype=hidden_LBK.dtype)
    slope_M = bias_M.new_empty(0) if bias_M.grad is None else bias_M.grad
    error_LB, slope_LBK = torch.empty_like(weight_LB), torch.empty_like(hidden_LBK)
    inputs = batch.starts, batch.columns, batch.values, weight_LB, hidden_LBK, decoder_MK, bias_M
    numba_kernels.decoder_errors(*_arrays(*inputs, error_LB, slope_Ln, slope_LBK, slope_M))
    return error_LB, slope_Ln, slope_LBK


def _arrays(*tensors: torch.Tensor) -> list["np.ndarray[Any, Any]"]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]
