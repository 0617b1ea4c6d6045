"""Rating rows on a device, handed out as CSR mini-batches without a loop over rows.

Shapes: R rows, B rows of a batch, N ratings, n ratings of a batch,
T columns with a rating in the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from darec.core.bias import Bias
from darec.data.ratings import Axis, Ratings


@dataclass(frozen=True)
class RowBatch:
    """The observed ratings of B rows: row b holds ``columns[offsets[b]:offsets[b + 1]]``."""

    rows: torch.Tensor
    """i64[B], which rows these are."""
    offsets: torch.Tensor
    """i64[B], where each row's ratings begin."""
    columns: torch.Tensor
    """i64[n], the column of each rating."""
    values: torch.Tensor
    """f32[n], ratings minus the centre."""
    row_of: torch.Tensor
    """i64[n], the position in 0..B-1 of each rating's row."""

    @cached_property
    def touched(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The distinct columns i64[T] in order, and each rating's position among them i64[n]."""
        columns_T, slot_n = torch.unique(self.columns, return_inverse=True)
        return columns_T, slot_n


class RatingRows:
    """One domain's training ratings along an axis, centred, as CSR tensors on a device."""

    def __init__(self, ratings: Ratings, axis: Axis, center: Bias, device: str) -> None:
        rows = ratings.rows(axis)
        centred = ratings.values - center.predict(ratings.users, ratings.items)
        self.n_rows, self.n_columns = ratings.shape(axis)
        self.device = device
        self._starts = torch.from_numpy(rows.starts).to(device)
        self._columns = torch.from_numpy(rows.columns.astype(np.int64)).to(device)
        self._values = torch.from_numpy(centred[rows.order]).to(device)
        self.is_rated = torch.from_numpy(rows.counts > 0).to(device)
        """bool[R]: the row has a training rating; others are left out of every loss."""

    def gather(self, rows: torch.Tensor) -> RowBatch:
        """Return the ratings of these rows i64[B], in their order."""
        begin = self._starts[rows]
        counts = self._starts[rows + 1] - begin
        offsets = counts.cumsum(0) - counts
        row_of = torch.repeat_interleave(torch.arange(len(rows), device=self.device), counts)
        position = torch.arange(len(row_of), device=self.device) + (begin - offsets)[row_of]
        return RowBatch(rows, offsets, self._columns[position], self._values[position], row_of)

    def batches(self, rows: torch.Tensor, batch_size: int) -> Iterator[RowBatch]:
        """Cut an epoch's row order into mini-batches; gathered once, sliced without copies."""
        whole = self.gather(rows)
        cuts = list(range(0, len(rows), batch_size))
        bounds = [*whole.offsets[cuts].tolist(), len(whole.columns)] if cuts else []
        for i, cut in enumerate(cuts):
            low, high = bounds[i], bounds[i + 1]
            yield RowBatch(
                whole.rows[cut : cut + batch_size],
                whole.offsets[cut : cut + batch_size] - low,
                whole.columns[low:high],
                whole.values[low:high],
                whole.row_of[low:high] - cut,
            )


def shuffled(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a fresh permutation of the rows, drawn on the CPU: one order on every device."""
    return rows[torch.randperm(len(rows), generator=generator).to(rows.device)]


def paired(
    source: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffle each domain's rows and repeat the shorter order to the longer's length.

    Row i of one stands beside row i of the other: source, target, source, target (reading 4).
    """
    length = max(len(source), len(target))
    position = torch.arange(length, device=source.device)
    source, target = shuffled(source, generator), shuffled(target, generator)
    return source[position % len(source)], target[position % len(target)]
