"""The network and the cost of CF-NADE-S (`darec.models.cf_nade` has the formulas).

Shapes: B rows of a batch, M columns of the rating matrix, L levels, H hidden units, n ratings.
"""

from collections.abc import Callable

import torch
from torch import nn

from darec.core.backend import Backend
from darec.core.batches import RowBatch
from darec.core.sparse_layers import lookup
from darec.models.levels import Levels, level_sums, weighted_level_sums

ANCHORED_BOUND = 0.02
"""The largest initial weight of an anchored net, whose predictions then start at the centre."""


class NADENet(nn.Module):
    """The weights W and V as [M, L * H], with a column's weights in one row, and the biases.

    If the net is anchored, the biases stay 0.
    """

    def __init__(
        self,
        levels: Levels,
        log_shares_ML: torch.Tensor,
        hidden: int,
        is_anchored: bool,
        generator: torch.Generator,
        backend: Backend,
    ) -> None:
        super().__init__()
        n_columns, n_levels = log_shares_ML.shape
        self.levels = levels
        self.hidden, self._backend = hidden, backend
        self.input_MW = nn.Parameter(torch.empty(n_columns, n_levels * hidden))
        self.output_MW = nn.Parameter(torch.empty(n_columns, n_levels * hidden))
        bound = ANCHORED_BOUND if is_anchored else (6 / (n_columns + hidden)) ** 0.5
        for weight in (self.input_MW, self.output_MW):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
        steps_ML = torch.diff(log_shares_ML, dim=1, prepend=log_shares_ML[:, :1])
        biases_ML = torch.zeros_like(steps_ML) if is_anchored else steps_ML
        self.bias_ML = nn.Parameter(biases_ML, requires_grad=not is_anchored)
        self.hidden_bias_H = nn.Parameter(torch.zeros(hidden), requires_grad=not is_anchored)

    def hidden_units(self, batch: RowBatch, seen_nL: torch.Tensor) -> torch.Tensor:
        """Return h of each row [B, H], given the factor of each of its ratings' weights W."""
        input_nLH = self._by_level(lookup(self.input_MW, batch, self._backend))
        sums_nH = (seen_nL[:, None, :] @ input_nLH)[:, 0]
        sums_BH = sums_nH.new_zeros(len(batch.rows), self.hidden)
        return torch.tanh(sums_BH.index_add(0, batch.row_of, sums_nH) + self.hidden_bias_H)

    def given_all(self) -> Callable[[RowBatch], torch.Tensor]:
        """Return a function from a batch to h given all ratings of each row, [B, H].

        It is that of a net without a centre, and needs no temporary of the shape [n, L, H].
        """
        below_MLH = torch.cumsum(self._by_level(self.input_MW), 1)

        def hidden_of(batch: RowBatch) -> torch.Tensor:
            sums_BH = level_sums(below_MLH, batch, self.levels.of(batch.values))
            return torch.tanh(sums_BH + self.hidden_bias_H)

        return hidden_of

    def given_seen(self, batch: RowBatch, seen_nL: torch.Tensor) -> torch.Tensor:
        """Return the same as `hidden_units` without that temporary, and without gradients."""
        weight_MLH = self._by_level(self.input_MW)
        return torch.tanh(weighted_level_sums(weight_MLH, batch, seen_nL) + self.hidden_bias_H)

    def target_logits(self, hidden_BH: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        """Return s of the batch's ratings, [n, L], given h of each row."""
        hidden_nH = hidden_BH.index_select(0, batch.row_of)
        output_nW = lookup(self.output_MW, batch, self._backend)
        return self.logits(hidden_nH, output_nW, self.bias_ML.index_select(0, batch.columns))

    def logits(
        self, hidden_nH: torch.Tensor, output_nW: torch.Tensor, bias_nL: torch.Tensor
    ) -> torch.Tensor:
        """Return s of each rating [n, L], from h of its row and the weights of its column."""
        output_nLH = self._by_level(output_nW)
        return torch.cumsum(bias_nL + (output_nLH @ hidden_nH[:, :, None])[:, :, 0], 1)

    def _by_level(self, weight_nW: torch.Tensor) -> torch.Tensor:
        """Return weights with an axis for the levels, [n, L, H]."""
        return weight_nW.view(-1, len(self.levels), self.hidden)

    def output_sums(self) -> torch.Tensor:
        """Return the sums of the output weights over the levels up to each, [M, L, H]."""
        return torch.cumsum(self._by_level(self.output_MW), 1)


def costs(logits_nL: torch.Tensor, level_n: torch.Tensor, ordinal: float) -> torch.Tensor:
    """Return ``(1 - ordinal) NLL + ordinal C_ord`` of each rating, [n].

    C_ord is the negative log-likelihood of two rankings of the levels by distance from the true
    level r: r, r-1, r-2, ... and r, r+1, r+2, ... (Eq. 12-13 of Zheng et al.).
    """
    index_n1 = level_n[:, None]
    nll_n = -torch.log_softmax(logits_nL, 1).gather(1, index_n1)[:, 0]
    up_nL = torch.logcumsumexp(logits_nL, 1) - logits_nL
    down_nL = torch.logcumsumexp(logits_nL.flip(1), 1).flip(1) - logits_nL
    levels_L = torch.arange(logits_nL.shape[1], device=logits_nL.device)
    ranks_n = (up_nL * (levels_L <= index_n1)).sum(1) + (down_nL * (levels_L >= index_n1)).sum(1)
    return (1 - ordinal) * nll_n + ordinal * ranks_n
