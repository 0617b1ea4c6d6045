"""The operations over observed ratings that each kind of device does in its own way.

Shapes: B rows of a batch, M columns of the rating matrix, K units, n ratings of a batch, S batches
of an epoch. ``S1`` counts the S + 1 boundaries between them.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from darec.core.adam import Adam, Decay
from darec.core.batches import RowBatch, TouchedColumns
from darec.core.numba_backend import NumbaBackend
from darec.core.torch_backend import TorchBackend


class Backend(Protocol):
    """One implementation of these operations. `RatingRows` chooses it once, by its device."""

    def touched_columns(
        self, epoch: RowBatch, edges_S1: list[int], n_columns: int
    ) -> tuple[torch.Tensor, Sequence[TouchedColumns | None]]:
        """Group the ratings of each batch of an epoch by column, for this backend's Adam.

        Batch s has the ratings ``edges[s]`` to ``edges[s + 1] - 1`` of the epoch. Returns the first
        batch that touches each column i64[M], and the columns of each batch.
        """

    def adam(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> Adam:
        """Return an optimizer of rating-sized ``weights`` [M, K] and of all ``others``."""

    def weighted_sums(
        self, batch: RowBatch, factor_n: torch.Tensor, weight_MK: torch.Tensor
    ) -> torch.Tensor:
        """Return, for each row, the sum over its ratings of ``factor * weight[column]``, [B, K]."""

    def dots(
        self,
        hidden_BK: torch.Tensor,
        row_n: torch.Tensor,
        weight_MK: torch.Tensor,
        column_n: torch.Tensor,
    ) -> torch.Tensor:
        """Return the dot products ``hidden[row] . weight[column]``, [n]."""

    def column_sums(
        self,
        batch: RowBatch,
        row_n: torch.Tensor,
        factor_n: torch.Tensor,
        rows_BK: torch.Tensor,
        n_columns: int,
    ) -> torch.Tensor:
        """Return, for each column, the sum over its ratings of ``factor * rows[row]``, [M, K].

        The result may be a sparse tensor with the touched columns only.
        """


TORCH = TorchBackend()
BACKENDS: dict[str, Backend] = {"cpu": NumbaBackend()}
"""The backends by type of device. Types that are not listed use `TORCH`."""


def backend_for(device: torch.device) -> Backend:
    """Return the backend of a device."""
    return BACKENDS.get(device.type, TORCH)
