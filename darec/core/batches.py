"""Mini-batches of rating rows in CSR form, and the orders in which an epoch visits its rows.

Shapes: B rows of a batch, M columns of the rating matrix, T of them touched by a batch, n ratings
of a batch. ``X1`` counts the X + 1 boundaries between X parts.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TouchedColumns:
    """The ratings of a batch grouped by column.

    Column ``columns[t]`` has the ratings ``ratings[starts[t]:starts[t + 1]]`` of the batch.
    """

    columns: torch.Tensor
    """i64[T], the distinct columns that the batch rates."""
    starts: torch.Tensor
    """i64[T + 1], where the ratings of each column begin, and where the last ones end."""
    ratings: torch.Tensor
    """i64[n], positions of ratings in the batch."""
    next_batch: torch.Tensor
    """i64[T], the epoch's next batch that touches the column, or the number of batches."""


@dataclass(frozen=True)
class RowBatch:
    """The observed ratings of B rows: row b has the ratings ``starts[b]`` to ``starts[b + 1]``."""

    rows: torch.Tensor
    """i64[B], the rows of the rating matrix."""
    starts: torch.Tensor
    """i64[B + 1], where the ratings of each row begin, and where the last ones end."""
    columns: torch.Tensor
    """i64[n], the column of each rating."""
    values: torch.Tensor
    """f32[n], ratings minus their centre."""
    row_of: torch.Tensor
    """i64[n], the position in 0..B-1 of each rating's row."""
    touched_columns: TouchedColumns | None = None
    """The same ratings by column. Only the batches of an epoch on a CPU have it."""
    observed: torch.Tensor | None = None
    """f32[n], 1 for ratings and 0 for padding. None: there is no padding."""

    @property
    def touched(self) -> TouchedColumns:
        """The same ratings by column, of a batch that has them."""
        assert self.touched_columns is not None
        return self.touched_columns


@dataclass(frozen=True)
class Epoch:
    """The mini-batches of an epoch."""

    batches: list[RowBatch]
    first: torch.Tensor
    """i64[M], the first batch that touches each column, or the number of batches."""


def shuffled(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a random permutation of the rows. It is the same one on every device."""
    return rows[torch.randperm(len(rows), generator=generator).to(rows.device)]


def paired(
    source: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shuffle the rows of each domain, and repeat the shorter order up to the longer one's length.

    Step i visits entry i of both orders (docs/paper.md, reading 5).
    """
    length = max(len(source), len(target))
    position = torch.arange(length, device=source.device)
    source, target = shuffled(source, generator), shuffled(target, generator)
    return source[position % len(source)], target[position % len(target)]
