"""Training steps as CUDA graphs: a step is captured once and then launched as a whole.

A step is dozens of GPU kernels that run for a few microseconds each. Launching them one by one
takes the CPU longer than the GPU needs to run them. A graph is one launch, but its tensors must
keep their place and size. So each batch is copied into fixed tensors that are padded at the end.

This has not been measured on a GPU yet. The tests run it on a CPU with a stand-in for the capture.
It stays until it can be measured against ``torch.compile(mode="reduce-overhead")``.

Shapes: B rows of a batch, n ratings of a batch, N >= n ratings that fit into the fixed tensors.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import torch
from torch import nn

from darec.core.batches import RowBatch

Launch = Callable[[], torch.Tensor]
WARM_UP = 3
"""Steps that run kernel by kernel before the capture, in which libraries set themselves up."""
ROOM = 1.25
"""Size of the fixed tensors as a multiple of the ratings of the first batch. A batch with more
ratings than fit causes a new capture."""


class FixedBatch:
    """A batch whose tensors keep their place in memory."""

    def __init__(self, batch: RowBatch, room: int) -> None:
        ratings = (batch.columns, batch.values, batch.row_of)
        self._rows, self._starts_B1 = torch.zeros_like(batch.rows), torch.zeros_like(batch.starts)
        self._columns_N, self._values_N, self._row_of_N = (part.new_zeros(room) for part in ratings)
        self._position_N = torch.arange(room, device=batch.rows.device)

    def fits(self, batch: RowBatch) -> bool:
        """Whether a batch has as many rows as this one, and no more ratings than there is room."""
        return len(batch.rows) == len(self._rows) and len(batch.columns) <= len(self._columns_N)

    def load(self, batch: RowBatch) -> None:
        """Copy a batch in. The entries behind its ratings become padding."""
        self._rows.copy_(batch.rows)
        self._starts_B1.copy_(batch.starts)
        n = len(batch.columns)
        self._columns_N[:n] = batch.columns
        self._values_N[:n] = batch.values
        self._row_of_N[:n] = batch.row_of

    def batch(self) -> RowBatch:
        """Return the loaded batch, to be called within the captured step.

        Padding has the value 0, so that it adds nothing to sums over the ratings of a row.
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


class CapturedStep:
    """A training step that is captured as a graph after `WARM_UP` calls, on CUDA devices.

    On other devices every call runs the step directly. On CUDA devices a call does so if its batch
    has another number of rows than the first one (the last batch of an epoch), or, after a
    warning, if the capture has failed. A launch overwrites the result of the launch before it.
    ``net`` has the parameters whose gradients the step computes.
    """

    def __init__(
        self, step: Callable[..., torch.Tensor], net: nn.Module, device: torch.device
    ) -> None:
        self._step, self._net = step, net
        kind = CAPTURE.get(device.type)
        self._capture = None if kind is None else kind()
        self.discard()

    def discard(self) -> None:
        """Discard the graph, because tensors that it uses were replaced by a loaded state."""
        self._done = 0
        self._fixed: list[FixedBatch] = []
        self._launch: Launch | None = None

    def __call__(self, *batches: RowBatch) -> torch.Tensor:
        """Do a step on these batches and return its result."""
        if self._capture is None:
            return self._step(*batches)
        self._done += 1
        if self._done == 1:
            self._n_rows = [len(batch.rows) for batch in batches]
        if self._done <= WARM_UP or self._n_rows != [len(batch.rows) for batch in batches]:
            return self._capture.eager(lambda: self._step(*batches))
        if self._launch is None or not all(map(FixedBatch.fits, self._fixed, batches)):
            self._fixed, self._launch = [], None  # the old graph's memory is free for the new one
            fixed = [FixedBatch(batch, int(ROOM * len(batch.columns)) + 1) for batch in batches]
            try:
                launch = self._capture.captured(lambda: self._step(*(f.batch() for f in fixed)))
            except RuntimeError as error:
                warnings.warn(f"a step cannot be captured as a CUDA graph: {error}", stacklevel=2)
                self._capture = None
                self._net.zero_grad()
                return self._step(*batches)
            self._fixed, self._launch = fixed, launch
        for fixed_batch, batch in zip(self._fixed, batches, strict=True):
            fixed_batch.load(batch)
        return self._launch()


class Capture(Protocol):
    """How a kind of device captures steps."""

    def eager(self, step: Launch) -> torch.Tensor:
        """Do a step kernel by kernel."""

    def captured(self, step: Launch) -> Launch:
        """Record a step without running it; the result runs it. Raises ``RuntimeError``."""


class CudaGraphs:
    """Runs and captures steps on a stream of their own, as torch's notes on CUDA graphs ask for."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def eager(self, step: Launch) -> torch.Tensor:
        """Do a step kernel by kernel."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = step()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def captured(self, step: Launch) -> Launch:
        """Record a step without running it; the result runs it with one launch."""
        graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                result = step()
        except RuntimeError:
            _end_allocation(pool)
            raise

        def launch() -> torch.Tensor:
            graph.replay()
            return result

        return launch


def _end_allocation(pool: Any) -> None:
    """Let torch's allocator leave a graph's pool, in which a failed capture may have left it."""
    with suppress(RuntimeError):  # it has left the pool already
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)


CAPTURE: dict[str, Callable[[], Capture]] = {"cuda": CudaGraphs}
"""How steps are captured, by type of device."""
