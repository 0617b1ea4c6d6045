"""Rating rows on a device, handed out as CSR mini-batches without a loop over rows.

Shapes: R rows, M columns, B rows of a batch, T columns that they rate, N ratings, n ratings of a
batch. ``X1`` counts X + 1 boundaries.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from darec.core import kernels
from darec.core.bias import Bias
from darec.data.ratings import Axis, Ratings


@dataclass(frozen=True)
class Touched:
    """The same ratings by column: column t holds ``by_column[starts[t]:starts[t + 1]]``."""

    columns: torch.Tensor
    """i64[T], the distinct columns."""
    starts: torch.Tensor
    """i64[T + 1], where each column's ratings begin, and the last ones' end."""
    by_column: torch.Tensor
    """i64[n], positions of ratings in the batch."""
    next: torch.Tensor
    """i64[T], the epoch's next batch that touches the column; the number of batches if none."""


@dataclass(frozen=True)
class RowBatch:
    """The observed ratings of B rows: row b holds ``columns[starts[b]:starts[b + 1]]``."""

    rows: torch.Tensor
    """i64[B], which rows these are."""
    starts: torch.Tensor
    """i64[B + 1], where each row's ratings begin, and the last ones' end."""
    columns: torch.Tensor
    """i64[n], the column of each rating."""
    values: torch.Tensor
    """f32[n], ratings minus the centre."""
    row_of: torch.Tensor
    """i64[n], the position in 0..B-1 of each rating's row."""
    plan: Touched | None = None
    observed: torch.Tensor | None = None
    """f32[n], 0 for what only fills the batch to a fixed size, else 1; None: all are ratings."""

    @property
    def touched(self) -> Touched:
        """The ratings by column: batches of an epoch have them, on a CPU."""
        assert self.plan is not None
        return self.plan


@dataclass(frozen=True)
class Epoch:
    """The mini-batches of an epoch."""

    batches: list[RowBatch]
    first: torch.Tensor
    """i64[M], the batch that touches each column first; the number of batches if none."""


class RatingRows:
    """One domain's training ratings along an axis, centred, as CSR tensors on a device."""

    def __init__(self, ratings: Ratings, axis: Axis, center: Bias, device: str) -> None:
        rows = ratings.rows(axis)
        centred = center.residuals(ratings)
        self.n_rows, self.n_columns = ratings.shape(axis)
        self.device = torch.device(device)
        self._starts = torch.from_numpy(rows.starts).to(device)
        self._columns = torch.from_numpy(rows.columns.astype(np.int64)).to(device)
        self._values = torch.from_numpy(centred[rows.order]).to(device)
        self.is_rated = torch.from_numpy(rows.counts > 0).to(device)
        """bool[R]: the row has a training rating; others are left out of every loss."""

    @staticmethod
    def stacked(upper: "RatingRows", lower: "RatingRows") -> "RatingRows":
        """Return the rows of one domain above those of another with the same columns."""
        rows = copy.copy(upper)
        rows.n_rows = upper.n_rows + lower.n_rows
        rows._starts = torch.cat([upper._starts, lower._starts[1:] + upper._starts[-1]])
        rows._columns = torch.cat([upper._columns, lower._columns])
        rows._values = torch.cat([upper._values, lower._values])
        rows.is_rated = torch.cat([upper.is_rated, lower.is_rated])
        return rows

    def gather(self, rows: torch.Tensor) -> RowBatch:
        """Return the ratings of these rows i64[B], in their order."""
        begin = self._starts[rows]
        counts = self._starts[rows + 1] - begin
        starts = torch.zeros(len(rows) + 1, dtype=torch.int64, device=self.device)
        torch.cumsum(counts, 0, out=starts[1:])
        row_of = torch.repeat_interleave(torch.arange(len(rows), device=self.device), counts)
        position = torch.arange(len(row_of), device=self.device) + (begin - starts[:-1])[row_of]
        return RowBatch(rows, starts, self._columns[position], self._values[position], row_of)

    def epoch(self, rows: torch.Tensor, batch_size: int) -> Epoch:
        """Cut an epoch's row order into mini-batches; gathered once, sliced without copies."""
        whole = self.gather(rows)
        cuts = range(0, len(rows), batch_size)
        edges_S1 = whole.starts[[*cuts, len(rows)]].tolist()
        first, touched = _planned(whole, edges_S1, self.n_columns)
        batches = [
            RowBatch(
                whole.rows[cut : cut + batch_size],
                whole.starts[cut : cut + batch_size + 1] - low,
                whole.columns[low:high],
                whole.values[low:high],
                whole.row_of[low:high] - cut,
                of_batch,
            )
            for cut, low, high, of_batch in zip(
                cuts, edges_S1[:-1], edges_S1[1:], touched, strict=True
            )
        ]
        return Epoch(batches, first)


def _planned(
    whole: RowBatch, edges_S1: list[int], n_columns: int
) -> tuple[torch.Tensor, list[Touched] | list[None]]:
    """Return the first batch of each column, and each batch's ratings by column."""
    n_batches = len(edges_S1) - 1
    if not kernels.serve(whole.columns.device):
        return torch.empty(0), [None] * n_batches
    size = len(whole.columns) + n_batches
    columns, following, starts = (torch.empty(size, dtype=torch.int64) for _ in range(3))
    by_column, first = torch.empty_like(whole.columns), torch.empty(n_columns, dtype=torch.int64)
    bounds_S1 = np.empty(n_batches + 1, np.int64)
    kernels.plan(
        np.array(edges_S1),
        whole.columns.numpy(),
        by_column.numpy(),
        columns.numpy(),
        starts.numpy(),
        following.numpy(),
        bounds_S1,
        first.numpy(),
    )
    edges = zip(edges_S1, edges_S1[1:], bounds_S1, bounds_S1[1:], strict=False)
    return first, [
        Touched(columns[a : b - 1], starts[a:b], by_column[low:high], following[a : b - 1])
        for low, high, a, b in edges
    ]


def shuffled(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a fresh permutation of the rows, drawn on the CPU: one order on every device."""
    return rows[torch.randperm(len(rows), generator=generator).to(rows.device)]


def paired(
    source: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffle each domain's rows and repeat the shorter order to the longer's length.

    Row i of one stands beside row i of the other: source, target, source, target (docs/paper.md, reading 5).
    """
    length = max(len(source), len(target))
    position = torch.arange(length, device=source.device)
    source, target = shuffled(source, generator), shuffled(target, generator)
    return source[position % len(source)], target[position % len(target)]
