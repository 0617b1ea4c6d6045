"""A training step as one launch: captured once as a CUDA graph, then replayed.

A step is dozens of kernels of a few microseconds, which take a CPU longer to launch than a GPU to
run. A graph needs tensors that keep their place and size, so that batches are copied into fixed
ones, with room for more ratings than the batch that they were made for.

Shapes: B rows of a batch, n ratings of it, N >= n that fit.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

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
        """Return the loaded batch, to be read inside a captured step.

        Sums over a row's ratings may run on into what fills the batch: its values are 0.
        """
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
    it is done as it is. What a replay returns is overwritten by the next one. A step that cannot be
    captured is done as it is, after a warning; ``net`` is whose gradients it leaves then.
    """

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self._net = net
        kind = CAPTURE.get(device.type)
        self._capture = None if kind is None else kind()
        self.forget()

    def forget(self) -> None:
        """Capture anew: tensors that the step reads have moved (a loaded optimizer's)."""
        self._done = 0
        self._fixed: list[FixedBatch] = []
        self._replay: Step | None = None

    def __call__(self, step: Callable[..., Any], *batches: RowBatch) -> Any:
        """Do a step, the same one at each call; it is not kept, since it keeps its model."""
        if self._capture is None:
            return step(*batches)
        self._done += 1
        if self._done == 1:
            self._n_rows = [len(batch.rows) for batch in batches]
        if self._done <= WARM_UP or self._n_rows != [len(batch.rows) for batch in batches]:
            return self._capture.eager(lambda: step(*batches))
        if self._replay is None or not all(map(FixedBatch.holds, self._fixed, batches)):
            fixed = [FixedBatch(batch, int(ROOM * len(batch.columns)) + 1) for batch in batches]
            try:
                whole = self._capture.captured(lambda: step(*(part.batch() for part in fixed)))
            except RuntimeError as error:
                warnings.warn(f"a step cannot be captured as a graph: {error}", stacklevel=2)
                self._capture = None
                self._net.zero_grad()
                return step(*batches)
            self._fixed, self._replay = fixed, whole
        for part, batch in zip(self._fixed, batches, strict=True):
            part.load(batch)
        return self._replay()


class CudaGraphs:
    """Eager steps and captures on one stream of their own, as torch's notes on graphs ask for."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def eager(self, step: Step) -> torch.Tensor:
        """Do a step kernel by kernel."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = step()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def captured(self, step: Step) -> Step:
        """Record a step's kernels, without running them, as a graph that runs with one launch."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            result = step()

        def replay() -> torch.Tensor:
            graph.replay()
            return result

        return replay


CAPTURE: dict[str, type[CudaGraphs]] = {"cuda": CudaGraphs}
"""How a step is captured, by type of device."""
