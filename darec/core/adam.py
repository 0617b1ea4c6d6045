"""Adam with L2 on rating-sized weights, at the cost of the columns that a step touches.

Shapes: M columns of the rating matrix, T of them touched by a batch, K units, n ratings of a batch.

A step of dense Adam moves every weight, 28 bytes of traffic each, though a mini-batch has gradients
for few columns. A column without one only feels L2 and its moments until a batch touches it again.
`Adam` does those steps at once, while the column is in cache after its last gradient: dense Adam's
steps, equal to rounding, on a small share of its traffic.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from darec.core import kernels
from darec.core.batches import Epoch, RowBatch
from darec.core.kernels import Array, column_sum, compiled

Decay = Literal["coupled", "decoupled"]
BETAS = (0.9, 0.999)
EPS = 1e-8


class Rates(NamedTuple):
    """Adam's constants, in the precision of the weights."""

    shrink: Any
    """Factor on the weights each step: 1 with coupled decay."""
    l2: Any
    """The gradient of L2 per unit of weight: 0 with decoupled decay."""
    keep1: Any
    take1: Any
    keep2: Any
    take2: Any
    eps: Any
    step_sizes: Array
    """The learning rate of each step, over its first moment's bias correction."""
    scales: Array
    """One over the root of each step's second moment's bias correction."""


class State(NamedTuple):
    """Weights and moments [M, K]."""

    weight_MK: Array
    moment_MK: Array
    square_MK: Array


@compiled
def step_column(state: State, j: int, grad_K: Array, t: int, rates: Rates) -> None:
    """Do step t of column j: ``w -= step_size m / (scale sqrt(v) + eps)``."""
    weight_K, moment_K, square_K = state.weight_MK[j], state.moment_MK[j], state.square_MK[j]
    step_size, scale = rates.step_sizes[t], rates.scales[t]
    for k in range(len(grad_K)):
        grad = grad_K[k] + rates.l2 * weight_K[k]
        moment = rates.keep1 * moment_K[k] + rates.take1 * grad
        square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
        moment_K[k], square_K[k] = moment, square
        change = step_size * moment / (scale * np.sqrt(square) + rates.eps)
        weight_K[k] = rates.shrink * weight_K[k] - change


@compiled
def skip_steps(state: State, j: int, begin: int, end: int, rates: Rates) -> None:
    """Do steps ``begin`` to ``end - 1`` of column j, which have no gradient but L2's.

    Without L2's gradient moments only shrink by constant factors. The s-th step then changes a
    weight by ``step_size keep1^s m / (scale sqrt(keep2^s v) + eps)``, which all later ones shrink:
    their sum is one change (with ``eps`` as at the first of them).
    """
    weight_K, moment_K, square_K = state.weight_MK[j], state.moment_MK[j], state.square_MK[j]
    if rates.l2 > 0:
        for t in range(begin, end):
            step_size, scale = rates.step_sizes[t], rates.scales[t]
            for k in range(len(weight_K)):
                grad = rates.l2 * weight_K[k]
                moment = rates.keep1 * moment_K[k] + rates.take1 * grad
                square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
                moment_K[k], square_K[k] = moment, square
                weight_K[k] -= step_size * moment / (scale * np.sqrt(square) + rates.eps)
    elif begin < end:
        total, keep1, keep2, shrink = 0.0, 1.0, 1.0, 1.0
        for t in range(begin, end):
            keep1, keep2, shrink = keep1 * rates.keep1, keep2 * rates.keep2, shrink * rates.shrink
            change = rates.step_sizes[t] * keep1 / (rates.scales[t] * np.sqrt(keep2))
            total = total * rates.shrink + change
        real = weight_K.dtype.type
        step_size, keep_m, keep_v, keep_w = real(total), real(keep1), real(keep2), real(shrink)
        eps = real(rates.eps / rates.scales[begin])
        for k in range(len(weight_K)):
            change = step_size * moment_K[k] / (np.sqrt(square_K[k]) + eps)
            weight_K[k] = keep_w * weight_K[k] - change
            moment_K[k] *= keep_m
            square_K[k] *= keep_v


@compiled
def skip_to_first(state: State, first_M: Array, begin: int, rates: Rates) -> None:
    """Do every column's steps before its first gradient of the epoch."""
    for j in range(len(first_M)):
        skip_steps(state, j, begin, begin + first_M[j], rates)


@compiled
def step_columns(
    state: State,
    columns_T: Array,
    next_T: Array,
    grad_TK: Array,
    begin: int,
    t: int,
    rates: Rates,
) -> None:
    """Do step t of the touched columns, then their steps up to the next gradient of each."""
    for i in range(len(columns_T)):
        step_column(state, columns_T[i], grad_TK[i], t, rates)
        skip_steps(state, columns_T[i], t + 1, begin + next_T[i], rates)


@compiled
def step_column_sums(
    state: State,
    columns_T: Array,
    next_T: Array,
    starts_T1: Array,
    by_column_n: Array,
    row_of_n: Array,
    factors_n: Array,
    rows_BK: Array,
    begin: int,
    t: int,
    rates: Rates,
) -> None:
    """Do `step_columns` with `column_sums` as gradients, which are never stored."""
    grad_K = np.empty_like(rows_BK[0])
    for i in range(len(columns_T)):
        ratings_n = by_column_n[starts_T1[i] : starts_T1[i + 1]]
        column_sum(ratings_n, row_of_n, factors_n, rows_BK, grad_K)
        step_column(state, columns_T[i], grad_K, t, rates)
        skip_steps(state, columns_T[i], t + 1, begin + next_T[i], rates)


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
        """Do a step with the parameter's sparse gradient, the sum of one or more of the batch."""
        touched, grad = batch.touched, self._parameter.grad
        assert grad is not None
        uses = len(grad._values()) // max(1, len(touched.columns))  # predictors may be read twice
        parts_TK = grad._values().view(max(1, uses), len(touched.columns), grad.shape[1])
        step_columns(
            self._state,
            touched.columns.numpy(),
            touched.next.numpy(),
            (parts_TK[0] if len(parts_TK) == 1 else parts_TK.sum(0)).numpy(),
            self._begin,
            self._steps,
            self._rates,
        )
        self._parameter.grad = None
        self._steps += 1

    def step_sums(self, batch: RowBatch, factor_n: torch.Tensor, rows_BK: torch.Tensor) -> None:
        """Do a step whose gradient is, per column, the sum of ``factor * row`` of its ratings."""
        touched = batch.touched
        step_column_sums(
            self._state,
            touched.columns.numpy(),
            touched.next.numpy(),
            touched.starts.numpy(),
            touched.by_column.numpy(),
            batch.row_of.numpy(),
            factor_n.numpy(),
            rows_BK.numpy(),
            self._begin,
            self._steps,
            self._rates,
        )
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps done, between two epochs."""
        return {"steps": self._steps, "moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._steps = self._end = state["steps"]
        for ours, saved in zip(self._moments, state["moments"], strict=True):
            ours.copy_(saved)


class Adam:
    """Adam on a loss plus ``l2`` times the sum of all squared weights, R of Eq. 2, 3 and 7.

    ``coupled`` adds R's gradient, ``2 l2 w``, to the loss's. ``decoupled`` shrinks weights by
    ``1 - 2 l2 learning_rate`` each step instead (AdamW; ours). R is added once a step while errors
    are summed over the batch, so the best ``l2`` depends on the batch size (PAPER reading 1).

    ``weights`` are rating-sized and have a `Table` each on a CPU; elsewhere torch has them, too.
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
        served = kernels.serve(device)
        self.tables = [Table(weight, learning_rate, l2, decay) for weight in weights if served]
        kind = torch.optim.Adam if decay == "coupled" else torch.optim.AdamW
        self.dense = kind(
            [*others] if served else [*others, *weights],
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

    def step(self, *batches: RowBatch) -> None:
        """Do a step with the gradients at hand, then forget them; one batch for each table."""
        self.dense.step()
        self.dense.zero_grad()
        for table, batch in zip(self.tables, batches, strict=False):
            table.step(batch)

    def state_dict(self) -> dict[str, Any]:
        """Return moments and steps, between two epochs."""
        tables = [table.state_dict() for table in self.tables]
        return {"dense": self.dense.state_dict(), "tables": tables}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.dense.load_state_dict(state["dense"])
        for table, saved in zip(self.tables, state["tables"], strict=True):
            table.load_state_dict(saved)
