"""SGD with momentum and weight decay on rating-sized weights, at the cost of the rows it reads.

Shapes: M rows of a weight, T of them read by a step, S steps of an epoch.

A step of dense SGD moves every row, although a mini-batch has gradients for few. Without a
gradient a step maps a weight w and its momentum v by a matrix that is the same for all rows. Its
k-th power does k such steps:

    v' = momentum v + decay w,   w' = w - learning_rate v'

`LazySGD` does a row's steps only when the row is read, and the last ones at the end of the epoch.
The result equals dense SGD (`torch.optim.SGD`) up to rounding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class LazySGD:
    """Trains several weights by name, each with its own weight decay.

    A step reads and moves some rows of each weight. All rows are up to date between epochs.

    Example::

        sgd = LazySGD({"w": weight_MK}, {"w": 1e-3}, learning_rate=0.05)
        sgd.begin(n_steps=10, momentum=0.9)
        rows = sgd.read({"w": torch.tensor([3, 7])})  # then a loss of rows["w"], and its backward()
        sgd.step()
    """

    def __init__(
        self, weights: Mapping[str, torch.Tensor], decays: Mapping[str, float], learning_rate: float
    ) -> None:
        self._tables = {
            name: _Table(weight.detach(), decays[name], learning_rate)
            for name, weight in weights.items()
        }

    def begin(self, n_steps: int, momentum: float) -> None:
        """Begin an epoch of so many steps."""
        for table in self._tables.values():
            table.begin(n_steps, momentum)

    def read(self, rows: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return distinct rows [T, ...] of each weight; the loss is to be computed from them."""
        return {name: self._tables[name].read(rows_T) for name, rows_T in rows.items()}

    def step(self) -> None:
        """Move the rows that were read by their gradients; after the last step, move all rows."""
        for table in self._tables.values():
            table.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the momenta between two epochs."""
        return {name: table.momentum for name, table in self._tables.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for name, table in self._tables.items():
            table.momentum.copy_(state[name])


class _Table:
    """One weight [M, ...] with its momentum."""

    def __init__(self, weight: torch.Tensor, decay: float, learning_rate: float) -> None:
        self._weight, self.momentum = weight, torch.zeros_like(weight)
        self._decay, self._learning_rate, self._factor = decay, learning_rate, 0.0
        self._done_M = torch.zeros(len(weight), dtype=torch.int64, device=weight.device)
        self._power_S22 = torch.zeros(1, 2, 2)
        self._n_steps = self._step = 0
        self._rows_T = self._done_M[:0]
        self._read = self._momentum_now = weight[:0]

    def begin(self, n_steps: int, momentum: float) -> None:
        assert self._step == self._n_steps, "the last epoch must have had all of its steps"
        self._n_steps, self._step, self._factor = n_steps, 0, momentum
        self._done_M.zero_()
        rate, decay = self._learning_rate, self._decay
        once = np.array([[1 - rate * decay, -rate * momentum], [decay, momentum]])
        power_S22 = np.empty((n_steps + 1, 2, 2))
        power_S22[0] = np.eye(2)
        for step in range(n_steps):
            power_S22[step + 1] = power_S22[step] @ once
        self._power_S22 = torch.from_numpy(power_S22).to(self._weight)

    def read(self, rows_T: torch.Tensor) -> torch.Tensor:
        weight, self._momentum_now = self._now(rows_T)
        self._rows_T, self._read = rows_T, weight.requires_grad_()
        return self._read

    def step(self) -> None:
        rows_T, weight, momentum = self._rows_T, self._read.detach(), self._momentum_now
        gradient = self._read.grad
        assert gradient is not None, "each step needs a backward() of the rows that were read"
        momentum.mul_(self._factor).add_(gradient).add_(weight, alpha=self._decay)
        self._weight.index_copy_(0, rows_T, weight.add_(momentum, alpha=-self._learning_rate))
        self.momentum.index_copy_(0, rows_T, momentum)
        self._step += 1
        self._done_M[rows_T] = self._step
        if self._step == self._n_steps:
            every = torch.arange(len(self._weight), device=self._weight.device)
            self._weight[:], self.momentum[:] = self._now(every)

    def _now(self, rows_T: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some rows and their momenta after the steps that they have not had yet."""
        weight, momentum = (each.index_select(0, rows_T) for each in (self._weight, self.momentum))
        power_T22 = self._power_S22[self._step - self._done_M[rows_T]]
        (a, b), (c, d) = power_T22.permute(1, 2, 0).view(2, 2, -1, *[1] * (weight.ndim - 1))
        later = (d * momentum).addcmul_(c, weight)
        return weight.mul_(a).addcmul_(b, momentum), later
