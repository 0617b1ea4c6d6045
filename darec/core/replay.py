"""A training step as one launch: captured once as a CUDA graph, then replayed.

A step is dozens of kernels of a few microseconds, which take a CPU longer to launch than a GPU to
run. A graph needs tensors that keep their place and size, so that batches are copied into fixed
ones, with room for more ratings than the batch that they were made for.

Shapes: B rows of a batch, n ratings of it, N >= n that fit.
"""

from collections.abc import Callable
from typing import Any

import torch

from darec.core.batches import RowBatch

Step = Callable[[], torch.Tensor]
WARM_UP = 3
"""Steps done one kernel at a time before a capture: libraries set themselves up in the first."""
ROOM = 1.25
"""Room for ratings, as a multiple of the batch at hand; a larger batch is captured anew."""


class FixedBatch:
    """A batch whose tensors keep their place in memory."""

    def __init__(self, batch: RowBatch, room: int) -> None:
        ratings = (batch.columns, batch.values, batch.row_of)
        self._rows, self._starts_B1 = torch.zeros_like(batch.rows), torch.zeros_like(batch.starts)
        self._columns_N, self._values_N, self._row_of_N = (part.new_zeros(room) for part in ratings)
        self._position_N = torch.arange(room, device=batch.rows.device)

    def holds(self, batch: RowBatch) -> bool:
        """Whether a batch of so many rows and ratings can be loaded."""
        return len(batch.rows) == len(self._rows) and len(batch.columns) <= len(self._columns_N)

    def load(self, batch: RowBatch) -> None:
        """Copy a batch in; what lies behind its ratings stays, and does not count."""
        self._rows.copy_(batch.rows)
        self._starts_B1.copy_(batch.starts)
        n = len(batch.columns)
        self._columns_N[:n] = batch.columns
        self._values_N[:n] = batch.values
        self._row_of_N[:n] = batch.row_of

    def batch(self) -> RowBatch:
        """Return the loaded batch, to be read inside a captured step."""
        observed_N = (self._position_N < self._starts_B1[-1]).to(self._values_N)
        return RowBatch(
            self._rows,
            self._starts_B1,
            self._columns_N,
            self._values_N * observed_N,
            self._row_of_N,
            observed=observed_N,
        )


class Replayed:
    """A step on mini-batches that is captured after `WARM_UP` calls and replayed from then on.

    Only on devices of `CAPTURE`; elsewhere, and for an epoch's last batch, which has fewer rows,
    it is done as it is. What a replay returns is overwritten by the next one.
    """

    def __init__(self, step: Callable[..., Any], device: torch.device) -> None:
        self._step, self._capture = step, CAPTURE.get(device.type)
        self.forget()

    def forget(self) -> None:
        """Capture anew: tensors that the step reads have moved (a loaded optimizer's)."""
        self._done = 0
        self._fixed: list[FixedBatch] = []
        self._replay: Step | None = None

    def __call__(self, *batches: RowBatch) -> Any:
        """Do a step."""
        if self._capture is None:
            return self._step(*batches)
        self._done += 1
        if self._done == 1:
            self._n_rows = [len(batch.rows) for batch in batches]
        if self._done <= WARM_UP or self._n_rows != [len(batch.rows) for batch in batches]:
            return self._step(*batches)
        if self._replay is None or not all(map(FixedBatch.holds, self._fixed, batches)):
            fixed = [FixedBatch(batch, int(ROOM * len(batch.columns)) + 1) for batch in batches]
            self._fixed = fixed
            self._replay = self._capture(lambda: self._step(*(part.batch() for part in fixed)))
        for part, batch in zip(self._fixed, batches, strict=True):
            part.load(batch)
        return self._replay()


def cuda_graph(step: Step) -> Step:
    """Record a step's kernels, without running them, as a graph that runs with one launch."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


CAPTURE: dict[str, Callable[[Step], Step]] = {"cuda": cuda_graph}
"""How a step is captured, by type of device."""
