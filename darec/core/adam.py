"""Adam with L2, at the cost of the columns that a step touches.

Shapes: M columns of the rating matrix, T of them touched by a batch, K units.

A step of dense Adam moves every rating-sized weight: 28 bytes of traffic for each, though a
mini-batch has gradients for few columns. `Adam` leaves the other columns as they are and does the
steps that they skipped when they are read next: the same arithmetic in the same order, in cache.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from darec.core import kernels
from darec.core.batches import RowBatch
from darec.core.kernels import Rates

Decay = Literal["coupled", "decoupled"]
BETAS = (0.9, 0.999)
EPS = 1e-8


class Adam:
    """Adam on a loss plus ``l2`` times the sum of all squared weights, R of Eq. 2, 3 and 7.

    ``coupled`` adds R's gradient, ``2 l2 w``, to the loss's. ``decoupled`` shrinks weights by
    ``1 - 2 l2 learning_rate`` each step instead (AdamW; ours). R is added once a step while errors
    are summed over the batch, so the best ``l2`` depends on the batch size (PAPER reading 1).

    ``tables`` are weights [M, K] whose gradients are sparse on a CPU; on other devices all weights
    are dense. Within an epoch, `catch_up` comes before a column is read and `flush` at the end.
    """

    def __init__(
        self,
        dense: Sequence[torch.nn.Parameter],
        tables: Sequence[torch.nn.Parameter],
        learning_rate: float,
        l2: float,
        decay: Decay,
    ) -> None:
        on_cpu = all(table.device.type == "cpu" for table in tables)
        self._tables = [Table(table, learning_rate, l2, decay) for table in tables if on_cpu]
        kind = torch.optim.Adam if decay == "coupled" else torch.optim.AdamW
        every = [*dense, *([] if on_cpu else tables)]
        self._dense = kind(
            every, lr=learning_rate, betas=BETAS, eps=EPS, weight_decay=2 * l2, fused=True
        )

    def catch_up(self, weight_MK: torch.nn.Parameter, batch: RowBatch) -> None:
        """Do the skipped steps of the columns that a batch's forward pass will read."""
        for table in self._tables:
            if table.weight_MK is weight_MK:
                table.catch_up(batch.touched[0])

    def zero_grad(self) -> None:
        """Forget the last step's gradients."""
        self._dense.zero_grad()
        for table in self._tables:
            table.weight_MK.grad = None

    def step(self) -> None:
        """Do a step with the gradients at hand."""
        self._dense.step()
        for table in self._tables:
            table.step()

    def flush(self) -> None:
        """Do all skipped steps: the weights are dense Adam's from here on."""
        for table in self._tables:
            table.catch_up(torch.arange(len(table.weight_MK)))

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the steps done, after `flush`."""
        return {
            "dense": self._dense.state_dict(),
            "tables": [table.state_dict() for table in self._tables],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._dense.load_state_dict(state["dense"])
        for table, saved in zip(self._tables, state["tables"], strict=True):
            table.load_state_dict(saved)


class Table:
    """One rating-sized weight with its moments and the number of steps done of each column."""

    def __init__(
        self, weight_MK: torch.nn.Parameter, learning_rate: float, l2: float, decay: Decay
    ) -> None:
        self.weight_MK = weight_MK
        self._steps = 0
        self._learning_rate = learning_rate
        self._moment_MK = torch.zeros_like(weight_MK, requires_grad=False)
        self._square_MK = torch.zeros_like(weight_MK, requires_grad=False)
        self._done_M = np.zeros(len(weight_MK), np.int64)
        self._dtype = weight_MK.detach().numpy().dtype
        coupled = decay == "coupled"
        self._replay = kernels.replay_coupled if coupled else kernels.replay_decoupled
        shrink, l2 = (1.0, 2 * l2) if coupled else (1 - 2 * l2 * learning_rate, 0.0)
        constants = (shrink, l2, BETAS[0], 1 - BETAS[0], BETAS[1], 1 - BETAS[1], EPS)
        self._rates = Rates(*map(self._dtype.type, constants))
        self._plan(1024)

    def _plan(self, steps: int) -> None:
        """Tabulate the bias corrections of the first steps, each step's divided once."""
        count = np.arange(1, steps + 1, dtype=np.float64)
        self._step_sizes = (self._learning_rate / (1 - BETAS[0] ** count)).astype(self._dtype)
        self._scales = (1 / np.sqrt(1 - BETAS[1] ** count)).astype(self._dtype)

    def _arrays(self) -> tuple[kernels.Array, kernels.Array, kernels.Array]:
        weight_MK = self.weight_MK.detach().numpy()
        return weight_MK, self._moment_MK.numpy(), self._square_MK.numpy()

    def catch_up(self, columns_T: torch.Tensor) -> None:
        """Do the skipped steps of these columns."""
        self._replay(
            columns_T.numpy(),
            self._done_M,
            self._steps,
            *self._arrays(),
            self._step_sizes,
            self._scales,
            self._rates,
        )

    def step(self) -> None:
        """Do a step of the columns with a gradient; the others skip it for now."""
        grad = self.weight_MK.grad
        if grad is not None:
            columns_T = grad._indices()[0].numpy()
            if (columns_T[1:] <= columns_T[:-1]).any():  # a sum of several sparse gradients
                grad = grad.coalesce()
                columns_T = grad.indices()[0].numpy()
            if (self._done_M[columns_T] != self._steps).any():
                raise RuntimeError("columns were read before catch_up")
            t = self._steps
            kernels.adam_update(
                columns_T,
                grad._values().numpy(),
                *self._arrays(),
                self._step_sizes[t],
                self._scales[t],
                self._rates,
            )
            self._done_M[columns_T] += 1
        self._steps += 1
        if self._steps == len(self._scales):
            self._plan(2 * self._steps)

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the steps done."""
        return {"steps": self._steps, "moment": self._moment_MK, "square": self._square_MK}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._steps = state["steps"]
        self._done_M[:] = self._steps
        self._moment_MK.copy_(state["moment"])
        self._square_MK.copy_(state["square"])
        self._plan(max(1024, 2 * self._steps))
