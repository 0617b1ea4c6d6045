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

AT_ONCE = 2**20
"""How many weights are brought up to date at once at the end of an epoch."""


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
        """Continue from a saved state; raises ``ValueError`` for one of another version."""
        if state.keys() != self._tables.keys():
            raise ValueError("the state of the optimizer is of another version or model")
        for name, table in self._tables.items():
            table.load(state[name])


class _Table:
    """One weight [M, ...] with its momentum."""

    def __init__(self, weight: torch.Tensor, decay: float, learning_rate: float) -> None:
        self._weight, self.momentum = weight, torch.zeros_like(weight)
        self._decay, self._learning_rate, self._factor = decay, learning_rate, 0.0
        self._done_M = torch.zeros(len(weight), dtype=torch.int64, device=weight.device)
        self._power_S22 = torch.zeros(1, 2, 2)
        self._n_steps = self._step = 0
        self._read: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        """The rows of a step, with their weights and momenta."""

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
        weight, momentum = self._now(rows_T)
        self._read = rows_T, weight.requires_grad_(), momentum
        return weight

    def step(self) -> None:
        assert self._read is not None, "each step must read rows"
        rows_T, read, momentum = self._read
        assert read.grad is not None, "each step needs a backward() of the rows that were read"
        weight = read.detach()
        momentum.mul_(self._factor).add_(read.grad).add_(weight, alpha=self._decay)
        self._write(rows_T, weight.add_(momentum, alpha=-self._learning_rate), momentum)
        self._step += 1
        self._done_M[rows_T] = self._step
        self._read = None
        if self._step == self._n_steps:
            every = torch.arange(len(self._weight), device=self._weight.device)
            for part_T in every.split(max(1, AT_ONCE // self._weight[:1].numel())):
                self._write(part_T, *self._now(part_T))

    def load(self, momentum: torch.Tensor) -> None:
        if momentum.shape != self.momentum.shape:
            raise ValueError("the state of the optimizer is of another version or model")
        self.momentum.copy_(momentum)
        self._n_steps = self._step = 0

    def _write(self, rows_T: torch.Tensor, weight: torch.Tensor, momentum: torch.Tensor) -> None:
        self._weight.index_copy_(0, rows_T, weight)
        self.momentum.index_copy_(0, rows_T, momentum)

    def _now(self, rows_T: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some rows and their momenta after the steps that they have not had yet."""
        weight, momentum = (each.index_select(0, rows_T) for each in (self._weight, self.momentum))
        power_T22 = self._power_S22[self._step - self._done_M[rows_T]]
        ones = [1] * (weight.ndim - 1)
        a, b, c, d = (power_T22[:, i, j].view(-1, *ones) for i in (0, 1) for j in (0, 1))
        later = (d * momentum).addcmul_(c, weight)  # before the weight changes
        return weight.mul_(a).addcmul_(b, momentum), later
