"""The backend of GPUs: torch's own operations, dense gradients and torch's fused Adam.

Shapes: B rows of a batch, M columns of the rating matrix, K units, n ratings of a batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from darec.core.adam import BETAS, EPS, Decay, shrink_factor
from darec.core.batches import Epoch, RowBatch


class TorchAdam:
    """`darec.core.adam.Adam` by torch: each step moves every weight."""

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> None:
        shrink_factor(learning_rate, l2, decay)  # refuses what would make weights vanish
        kind = torch.optim.Adam if decay == "coupled" else torch.optim.AdamW
        self._adam = kind(
            parameters,
            lr=learning_rate,
            betas=BETAS,
            eps=EPS,
            weight_decay=2 * l2,
            fused=True,
            capturable=parameters[0].device.type == "cuda",
        )

    def begin(self, *epochs: Epoch) -> None:
        """Begin an epoch. Denormal numbers count as zero, as in `LazyAdam`."""
        torch.set_flush_denormal(True)

    def step(self, *batches: RowBatch) -> None:
        """Do a step with the gradients of the parameters, then clear them."""
        self._adam.step()
        self._adam.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state. The tensors of the moments are replaced."""
        self._adam.load_state_dict(state)


class TorchBackend:
    """`darec.core.backend.Backend` by torch, for any device."""

    def touched_columns(
        self, epoch: RowBatch, edges_S1: list[int], n_columns: int
    ) -> tuple[torch.Tensor, list[None]]:
        """Return no groups, because `TorchAdam` moves every column in every step."""
        return torch.empty(0), [None] * (len(edges_S1) - 1)

    def adam(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> TorchAdam:
        """Return torch's Adam of all parameters."""
        return TorchAdam([*others, *weights], learning_rate, l2, decay)

    def weighted_sums(
        self, batch: RowBatch, factor_n: torch.Tensor, weight_MK: torch.Tensor
    ) -> torch.Tensor:
        """Return, for each row, the sum over its ratings of ``factor * weight[column]``, [B, K]."""
        starts, n_rows = batch.starts, len(batch.rows)
        if batch.observed is not None:
            starts = torch.cat([starts, _padding_ends(starts[-1], len(batch.columns), n_rows)])
        sums = F.embedding_bag(
            batch.columns,
            weight_MK,
            starts,
            mode="sum",
            per_sample_weights=factor_n,
            include_last_offset=True,
        )
        return sums[:n_rows]

    def dots(
        self,
        hidden_BK: torch.Tensor,
        row_n: torch.Tensor,
        weight_MK: torch.Tensor,
        column_n: torch.Tensor,
    ) -> torch.Tensor:
        """Return the dot products ``hidden[row] . weight[column]``, [n]."""
        hidden_nK, weight_nK = hidden_BK.index_select(0, row_n), weight_MK.index_select(0, column_n)
        dots_n: torch.Tensor = torch.linalg.vecdot(hidden_nK, weight_nK)
        return dots_n

    def column_sums(
        self,
        batch: RowBatch,
        row_n: torch.Tensor,
        factor_n: torch.Tensor,
        rows_BK: torch.Tensor,
        n_columns: int,
    ) -> torch.Tensor:
        """Return, for each column, the sum over its ratings of ``factor * rows[row]``, [M, K]."""
        terms_nK = rows_BK.index_select(0, row_n).mul_(factor_n[:, None])
        zeros_MK = rows_BK.new_zeros(n_columns, rows_BK.shape[1])
        return zeros_MK.index_add_(0, batch.columns, terms_nK)


def _padding_ends(begin: torch.Tensor, end: int, n_parts: int) -> torch.Tensor:
    """Return where equal parts of the padding end.

    A GPU sums one row's entries one after the other, so the padding must not be a single row.
    """
    part = torch.arange(1, n_parts + 1, device=begin.device)
    return begin + (end - begin) * part // n_parts
