"""Adam with L2 on rating-sized weights, at the cost of the columns that a step touches.

Shapes: M columns of the rating matrix, T of them touched by a batch, K units, n ratings of a batch,
L readings of the same ratings, S steps of an epoch.

A step of dense Adam moves every weight, with 28 bytes of memory traffic for each one, although a
mini-batch has gradients for few columns. `LazyAdam` visits a column only when it has a gradient. It
then does all further steps up to the column's next gradient at once, while the column is in cache:
in these steps only L2 and the moments change a weight. The result equals dense Adam up to rounding
and, where these steps have a closed form, up to the value of ``eps`` (`joint_effect`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from darec.core.adam import BETAS, EPS, Decay, shrink_factor
from darec.core.batches import Epoch, RowBatch
from darec.core.lazy_adam_loops import (
    Rates,
    State,
    skip_to_first,
    step_column,
    step_column_sums,
    step_columns,
    sums_to_end,
)


class Table:
    """One weight [M, K] on a CPU with its moments; a row is visited when it has a gradient."""

    def __init__(
        self, weight_MK: torch.nn.Parameter, learning_rate: float, l2: float, decay: Decay
    ) -> None:
        self._parameter = weight_MK
        self._learning_rate = learning_rate
        weights = weight_MK.detach().numpy()
        self._state = State(weights, np.zeros((len(weights), 2, weights.shape[1]), weights.dtype))
        self._real = weights.dtype.type
        self._shrink = shrink_factor(learning_rate, l2, decay)
        slope = 2 * l2 if decay == "coupled" else 0.0
        constants = (self._shrink, slope, BETAS[0], 1 - BETAS[0], BETAS[1], 1 - BETAS[1], EPS)
        none = np.empty(0)
        self._rates = Rates._make([*map(self._real, constants), none, none, none, none[None]])
        self._before = self._step = self._n_steps = 0

    def begin(self, n_steps: int, first_M: torch.Tensor) -> None:
        """Begin an epoch: do the steps of every column up to its first gradient.

        ``first`` i64[M] is the step of the epoch with that gradient, or ``n_steps``.
        """
        self._begin_rates(n_steps)
        skip_to_first(self._state, first_M.numpy(), self._rates)

    def _begin_rates(self, n_steps: int) -> None:
        """Begin an epoch without any step of a column yet."""
        assert self._step == self._n_steps, "the last epoch must have had all of its steps"
        self._before, self._step, self._n_steps = self._before + self._n_steps, 0, n_steps
        count_S = self._before + np.arange(1, n_steps + 1)
        step_size_S = self._learning_rate / (1 - BETAS[0] ** count_S)
        scale_S = 1 / np.sqrt(1 - BETAS[1] ** count_S)
        shrink, ratio = self._shrink, BETAS[0] / BETAS[1] ** 0.5 / self._shrink
        self._rates = self._rates._replace(
            step_size_S=step_size_S.astype(self._real),
            scale_S=scale_S.astype(self._real),
            sum_to_end_S1=sums_to_end(step_size_S, scale_S, ratio),
            power_4S1=np.array([[*BETAS, shrink, ratio]]).T ** np.arange(n_steps + 1),
        )

    def step(self, batch: RowBatch) -> None:
        """Do a step with the parameter's sparse gradient, whose columns are those of the batch."""
        touched, grad = batch.touched, self._parameter.grad
        assert grad is not None and len(grad._values()) == len(touched.columns)
        step_columns(
            self._state,
            touched.columns.numpy(),
            touched.next_batch.numpy(),
            grad._values().numpy(),
            self._step,
            self._rates,
        )
        self._parameter.grad = None
        self._step += 1

    def step_sums(self, batch: RowBatch, factor_Ln: torch.Tensor, rows_LBK: torch.Tensor) -> None:
        """Do a step whose gradient is never stored.

        The gradient of a column is the sum of ``factor * row`` over its ratings and all L readings.
        """
        touched = batch.touched
        step_column_sums(
            self._state,
            touched.columns.numpy(),
            touched.next_batch.numpy(),
            touched.starts.numpy(),
            touched.ratings.numpy(),
            batch.row_of.numpy(),
            factor_Ln.numpy(),
            rows_LBK.numpy(),
            self._step,
            self._rates,
        )
        self._step += 1

    def step_dense(self) -> None:
        """Do a step of a table of one row with its dense gradient, then set the gradient to 0."""
        grad = self._parameter.grad
        assert grad is not None
        step_column(self._state, 0, grad[0].numpy(), self._step, self._step + 1, self._rates)
        grad.zero_()
        self._step += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps done. To be called between two epochs."""
        steps, moments_M2K = self._before + self._step, torch.from_numpy(self._state.moments_M2K)
        return {"steps": steps, "moments": moments_M2K}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; raises ``ValueError`` for one of another version."""
        moments_M2K: Any = state.get("moments")
        if getattr(moments_M2K, "shape", None) != self._state.moments_M2K.shape:
            raise ValueError("the state of the optimizer is of another version or model")
        self._before, self._step, self._n_steps = state["steps"], 0, 0
        self._state.moments_M2K[:] = moments_M2K.numpy()


def flattened(parameters: Sequence[torch.nn.Parameter]) -> torch.nn.Parameter:
    """Return one row with all values. The parameters and their gradients become views of it."""
    empty = torch.empty(0)  # for models without any
    row = torch.nn.Parameter(torch.cat([empty, *(p.detach().flatten() for p in parameters)])[None])
    row.grad = torch.zeros_like(row)
    sizes = [p.numel() for p in parameters]
    parts = zip(torch.split(row.detach()[0], sizes), torch.split(row.grad[0], sizes), strict=True)
    for parameter, (values, slopes) in zip(parameters, parts, strict=True):
        parameter.data, parameter.grad = values.view_as(parameter), slopes.view_as(parameter)
    return row


class LazyAdam:
    """`darec.core.adam.Adam` with a `Table` for each rating-sized weight [M, K].

    The small parameters ``others`` are flattened into one extra table of one row, because a call
    for each of them would cost more than its arithmetic. Those that require no gradient stay as
    they are. The weights move into arrays of numpy, which asks Linux for large memory pages.
    """

    def __init__(
        self,
        weights: Sequence[torch.nn.Parameter],
        others: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> None:
        for weight in weights:
            weight.data = torch.from_numpy(weight.detach().numpy().copy())
        self.tables = [Table(weight, learning_rate, l2, decay) for weight in weights]
        trained = [weight for weight in others if weight.requires_grad]
        self._others = Table(flattened(trained), learning_rate, l2, decay)

    def begin(self, *epochs: Epoch) -> None:
        """Begin an epoch. ``epochs`` has one entry for each table.

        Moments without gradients decay into denormal numbers, which make a CPU about twenty times
        slower. From here on this thread reads and writes them as zero.
        """
        torch.set_flush_denormal(True)
        for table, epoch in zip(self.tables, epochs, strict=True):
            table.begin(len(epoch.batches), epoch.first)
        self._others.begin(len(epochs[0].batches), torch.zeros(1, dtype=torch.int64))

    def step(self, *batches: RowBatch) -> None:
        """Do a step with the gradients of the parameters, then clear them."""
        self.step_others()
        for table, batch in zip(self.tables, batches, strict=True):
            table.step(batch)

    def step_others(self) -> None:
        """Do a step of the small parameters with their gradients, then clear these."""
        self._others.step_dense()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps. To be called between two epochs."""
        return {"tables": [table.state_dict() for table in (*self.tables, self._others)]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for table, saved in zip((*self.tables, self._others), state["tables"], strict=True):
            table.load_state_dict(saved)
