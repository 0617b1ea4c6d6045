"""Adam on embedding tables, at the cost of the rows that a step reads.

Shapes: M rows of a table, B rows that a step reads, T distinct ones among them, K columns.

A step of dense Adam moves every row of a table, although a mini-batch reads few of them. On a CPU,
`LazyEmbeddingAdam` does the steps that a row has missed when the row is read, and the last ones at
the end of the epoch. As these steps have no gradient, they have a closed form, which equals dense
Adam up to the value of ``eps`` (`darec.core.lazy_adam_loops.joint_effect`). Torch's dense Adam
trains the tables where a step reads more than `FEW_READ` of their rows, and those on other devices.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from darec.core.lazy_adam import Table
from darec.core.lazy_adam_loops import read_rows, skip_all_to, step_rows

FEW_READ = 1 / 32
"""The share of the rows, read by a step, up to which the lazy Adam is used on a CPU. At a share of
1 / 31 the two are equally fast with 20 columns."""

Index = Mapping[str, torch.Tensor]
"""By the name of each table, the rows to read, i64[B]. A row may be read more than once."""


class EmbeddingAdam(Protocol):
    """Trains tables by name. A step reads rows of all of them and then moves the tables."""

    def begin(self, n_steps: int) -> None:
        """Begin an epoch of so many steps."""

    def read(self, *indices: Index) -> list[dict[str, torch.Tensor]]:
        """Return the rows [B, K] of each index, to compute the loss of a step from.

        Together the indices of a step name every table.
        """

    def step(self) -> None:
        """Do a step with the gradient of the loss, after its ``backward()``."""

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps. To be called between two epochs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""


def embedding_adam(
    tables: Mapping[str, torch.nn.Parameter], learning_rate: float, n_read: int
) -> EmbeddingAdam:
    """Return the Adam for some tables [M, K], all of them on one device.

    ``n_read`` is the number of rows that a step reads, over all tables. Example::

        adam = embedding_adam({"user": user_UK, "item": item_IK}, 0.005, n_read=4)
        adam.begin(n_steps=1)
        [rows] = adam.read({"user": torch.tensor([3, 3]), "item": torch.tensor([0, 7])})
        ((rows["user"] * rows["item"]).sum(1) - ratings_B).square().mean().backward()
        adam.step()
    """
    n_rows = sum(len(table) for table in tables.values())
    on_cpu = all(table.device.type == "cpu" for table in tables.values())
    lazy = on_cpu and n_read <= FEW_READ * n_rows
    return (LazyEmbeddingAdam if lazy else DenseEmbeddingAdam)(tables, learning_rate)


class DenseEmbeddingAdam:
    """Torch's Adam, which moves every row in every step."""

    def __init__(self, tables: Mapping[str, torch.nn.Parameter], learning_rate: float) -> None:
        self._tables = dict(tables)
        self._adam = torch.optim.Adam(self._tables.values(), lr=learning_rate, fused=True)

    def begin(self, n_steps: int) -> None:
        """Do nothing: the tables are up to date after each step."""

    def read(self, *indices: Index) -> list[dict[str, torch.Tensor]]:
        """Return the rows [B, K] of each index."""
        self._adam.zero_grad()
        return [
            {name: self._tables[name].index_select(0, index_B) for name, index_B in each.items()}
            for each in indices
        ]

    def step(self) -> None:
        """Do a step with the gradient of the tables."""
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; raises ``ValueError`` for one of another version."""
        if "param_groups" not in state:
            raise ValueError("the state of the optimizer is of another version or model")
        self._adam.load_state_dict(state)


class LazyEmbeddingAdam:
    """An Adam on a CPU that does a row's steps when the row is read.

    It writes into the memory of the tables: they must not be moved, nor copied with their model.
    """

    def __init__(self, tables: Mapping[str, torch.nn.Parameter], learning_rate: float) -> None:
        self._tables = {name: _Rows(table, learning_rate) for name, table in tables.items()}

    def begin(self, n_steps: int) -> None:
        """Begin an epoch. From here on this thread reads and writes denormal numbers as zero."""
        torch.set_flush_denormal(True)
        for table in self._tables.values():
            table.begin_epoch(n_steps)

    def read(self, *indices: Index) -> list[dict[str, torch.Tensor]]:
        """Return the rows [B, K] of each index after the steps that they have missed."""
        rows = {}
        for name, table in self._tables.items():
            parts = [each[name] for each in indices if name in each]
            rows[name] = iter(table.read(torch.cat(parts)).split([len(part) for part in parts]))
        return [{name: next(rows[name]) for name in each} for each in indices]

    def step(self) -> None:
        """Move the rows that were read. The last step of an epoch brings all rows up to date."""
        for table in self._tables.values():
            table.step_read()

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps. To be called between two epochs."""
        return {name: table.state_dict() for name, table in self._tables.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; raises ``ValueError`` for one of another version."""
        if state.keys() != self._tables.keys():
            raise ValueError("the state of the optimizer is of another version or model")
        for name, table in self._tables.items():
            table.load_state_dict(state[name])


class _Rows(Table):
    """A table whose rows are brought up to date when they are read."""

    def __init__(self, weight_MK: torch.nn.Parameter, learning_rate: float) -> None:
        super().__init__(weight_MK, learning_rate, l2=0.0, decay="decoupled")
        n_rows = len(weight_MK)
        self._done_M = np.zeros(n_rows, np.int32)
        """The steps of this epoch that each row has had."""
        self._slot_M = np.full(n_rows, -1, np.int32)
        """The place of each row among those that a step has read; -1 between steps."""
        self._read: tuple[np.ndarray[Any, Any], torch.Tensor] | None = None
        """The distinct rows of a step i64[T], and their values [T, K]."""

    def begin_epoch(self, n_steps: int) -> None:
        self._begin_rates(n_steps)
        self._done_M[:], self._slot_M[:], self._read = 0, -1, None

    def read(self, index_B: torch.Tensor) -> torch.Tensor:
        assert self._step < self._n_steps, "an epoch must not have more steps than it began with"
        row_B, place_B = np.empty(len(index_B), np.int64), np.empty(len(index_B), np.int64)
        value_BK = np.empty((len(index_B), self._state.weight_MK.shape[1]), self._real)
        n = read_rows(
            self._state,
            index_B.numpy(),
            self._slot_M,
            self._done_M,
            self._step,
            self._rates,
            (row_B, value_BK, place_B),
        )
        value_TK = torch.from_numpy(value_BK[:n]).requires_grad_()
        self._read = row_B[:n], value_TK
        return value_TK.index_select(0, torch.from_numpy(place_B))

    def step_read(self) -> None:
        assert self._read is not None, "each step must read rows"
        row_T, value_TK = self._read
        assert value_TK.grad is not None, "each step needs a backward() of the rows that were read"
        grad_TK = value_TK.grad.numpy()
        step_rows(self._state, row_T, grad_TK, self._slot_M, self._done_M, self._step, self._rates)
        self._step += 1
        self._read = None
        if self._step == self._n_steps:
            skip_all_to(self._state, self._done_M, self._step, self._rates)
