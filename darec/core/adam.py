"""Adam with L2 on rating-sized weights, at the cost of the columns that a step touches.

Shapes: M columns of the rating matrix, T of them touched by a batch, K units, n ratings of a batch,
L readings of the same ratings.

A step of dense Adam moves every weight, 28 bytes of traffic each, though a mini-batch has gradients
for few columns. A column without one only feels L2 and its moments until a batch touches it again.
`Adam` does those steps at once, while the column is in cache after its last gradient: dense Adam's
steps, equal to rounding, on a small share of its traffic.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from darec.core import kernels
from darec.core.adam_loops import (
    Rates,
    State,
    skip_to_first,
    step_column,
    step_column_sums,
    step_columns,
)
from darec.core.batches import Epoch, RowBatch

Decay = Literal["coupled", "decoupled"]
BETAS = (0.9, 0.999)
EPS = 1e-8


class Table:
    """One rating-sized weight [M, K] on a CPU, with its moments."""

    def __init__(
        self, weight_MK: torch.nn.Parameter, learning_rate: float, l2: float, decay: Decay
    ) -> None:
        self._parameter = weight_MK
        self._learning_rate = learning_rate
        self._moments = [torch.zeros_like(weight_MK, requires_grad=False) for _ in range(2)]
        tensors = weight_MK.detach(), *self._moments
        self._state = State(*(tensor.numpy() for tensor in tensors))
        self._real = self._state.weight_MK.dtype.type
        coupled = decay == "coupled"
        shrink, l2 = (1.0, 2 * l2) if coupled else (1 - 2 * l2 * learning_rate, 0.0)
        constants = (shrink, l2, BETAS[0], 1 - BETAS[0], BETAS[1], 1 - BETAS[1], EPS)
        none = np.empty(0, self._real)
        self._rates = Rates._make([*map(self._real, constants), none, none])
        self._steps = self._begin = self._end = 0

    def begin(self, epoch: Epoch) -> None:
        """Bring every column to the step that gives it its first gradient of this epoch."""
        assert self._steps == self._end, "every batch of an epoch has its step"
        self._begin, self._end = self._steps, self._steps + len(epoch.batches)
        count = np.arange(1, self._end + 1, dtype=np.float64)
        step_sizes = self._learning_rate / (1 - BETAS[0] ** count)
        scales = 1 / np.sqrt(1 - BETAS[1] ** count)
        self._rates = self._rates._replace(
            step_sizes=step_sizes.astype(self._real), scales=scales.astype(self._real)
        )
        skip_to_first(self._state, epoch.first.numpy(), self._begin, self._rates)

    def step(self, batch: RowBatch) -> None:
        """Do a step with the parameter's sparse gradient, that of one use of the batch."""
        touched, grad = batch.touched, self._parameter.grad
        assert grad is not None and len(grad._values()) == len(touched.columns)
        step_columns(
            self._state,
            touched.columns.numpy(),
            touched.next.numpy(),
            grad._values().numpy(),
            self._begin,
            self._steps,
            self._rates,
        )
        self._parameter.grad = None
        self._steps += 1

    def step_sums(self, batch: RowBatch, factor_Ln: torch.Tensor, rows_LBK: torch.Tensor) -> None:
        """Do a step whose gradient is, per column, the sum of ``factor * row`` of its ratings.

        Over all L of the factors and rows, the readings of the same ratings.
        """
        touched = batch.touched
        step_column_sums(
            self._state,
            touched.columns.numpy(),
            touched.next.numpy(),
            touched.starts.numpy(),
            touched.by_column.numpy(),
            batch.row_of.numpy(),
            factor_Ln.numpy(),
            rows_LBK.numpy(),
            self._begin,
            self._steps,
            self._rates,
        )
        self._steps += 1

    def step_dense(self) -> None:
        """Do a step of a table of one row with its dense gradient, which is zero then."""
        grad = self._parameter.grad
        assert grad is not None
        step_column(self._state, 0, grad[0].numpy(), self._steps, self._steps + 1, self._rates)
        grad.zero_()
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps done, between two epochs."""
        return {"steps": self._steps, "moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._steps = self._end = state["steps"]
        for ours, saved in zip(self._moments, state["moments"], strict=True):
            ours.copy_(saved)


def joined(parameters: Sequence[torch.nn.Parameter]) -> torch.nn.Parameter:
    """Return one row of which the parameters are views from now on, as their gradients are."""
    row = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters])[None])
    row.grad = torch.zeros_like(row)
    sizes = [p.numel() for p in parameters]
    parts = zip(torch.split(row.detach()[0], sizes), torch.split(row.grad[0], sizes), strict=True)
    for parameter, (values, slopes) in zip(parameters, parts, strict=True):
        parameter.data, parameter.grad = values.view_as(parameter), slopes.view_as(parameter)
    return row


class Adam:
    """Adam on a loss plus ``l2`` times the sum of all squared weights, R of Eq. 2, 3 and 7.

    ``coupled`` adds R's gradient, ``2 l2 w``, to the loss's. ``decoupled`` shrinks weights by
    ``1 - 2 l2 learning_rate`` each step instead (AdamW; ours). R is added once a step while errors
    are summed over the batch, so the best ``l2`` depends on the batch size (docs/paper.md, reading 1).

    On a CPU ``weights``, which are rating-sized, have a `Table` each, and ``others`` become views
    of the only row of one more: a call for each of them costs more than its work. Elsewhere torch
    has them all.
    """

    def __init__(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> None:
        device = weights[0].device
        self.tables: list[Table] = []
        self._dense: torch.optim.Adam | None = None
        if kernels.serve(device):
            self.tables = [Table(weight, learning_rate, l2, decay) for weight in weights]
            self._others = Table(joined(others), learning_rate, l2, decay)
            return
        kind = torch.optim.Adam if decay == "coupled" else torch.optim.AdamW
        self._dense = kind(
            [*others, *weights],
            lr=learning_rate,
            betas=BETAS,
            eps=EPS,
            weight_decay=2 * l2,
            fused=True,
            capturable=device.type == "cuda",
        )

    def begin(self, *epochs: Epoch) -> None:
        """Begin an epoch; one plan for each table.

        Moments without gradients decay into denormal numbers, with which a CPU is some twenty times
        slower: this thread reads and writes them as zero from here on.
        """
        torch.set_flush_denormal(True)
        for table, epoch in zip(self.tables, epochs, strict=False):
            table.begin(epoch)
        if self._dense is None:
            self._others.begin(replace(epochs[0], first=torch.zeros(1, dtype=torch.int64)))

    def step(self, *batches: RowBatch) -> None:
        """Do a step with the gradients at hand, then forget them; one batch for each table."""
        self.step_others()
        for table, batch in zip(self.tables, batches, strict=False):
            table.step(batch)

    def step_others(self) -> None:
        """Do a step of the parameters that have no table."""
        if self._dense is None:
            self._others.step_dense()
        else:
            self._dense.step()
            self._dense.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return moments and steps, between two epochs."""
        if self._dense is not None:
            return self._dense.state_dict()
        return {"tables": [table.state_dict() for table in (*self.tables, self._others)]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        if self._dense is not None:
            return self._dense.load_state_dict(state)
        for table, saved in zip((*self.tables, self._others), state["tables"], strict=True):
            table.load_state_dict(saved)
