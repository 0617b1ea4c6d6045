"""The training ratings of a domain on a device, as rows along an axis.

Shapes: N ratings, R rows of the rating matrix, B rows of a batch, S batches of an epoch.
"""

import copy

import numpy as np
import torch

from darec.core.backend import backend_for
from darec.core.batches import Epoch, RowBatch
from darec.data.ratings import Axis, FloatArray, IntArray, Ratings
from darec.data.split import Training


class RatingRows:
    """Training ratings, or what is left of them f32[N], as CSR tensors on a device."""

    def __init__(
        self, ratings: Ratings, axis: Axis, device: str, rest: FloatArray | None = None
    ) -> None:
        rows = ratings.rows(axis)
        values = ratings.values if rest is None else rest
        self.n_rows, self.n_columns = ratings.shape(axis)
        self.device = torch.device(device)
        self.backend = backend_for(self.device)
        """The implementation that a model of these rows uses throughout."""
        self._starts = torch.from_numpy(rows.starts).to(device)
        self._columns = torch.from_numpy(rows.columns.astype(np.int64)).to(device)
        self._values = torch.from_numpy(values[rows.order]).to(device)
        self.is_rated = torch.from_numpy(rows.counts > 0).to(device)
        """bool[R]: the row has a training rating. Other rows are left out of every loss."""

    @staticmethod
    def stacked(upper: "RatingRows", lower: "RatingRows") -> "RatingRows":
        """Return the rows of one domain above those of another domain with the same columns."""
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
        """Return the mini-batches of an epoch that visits the rows in this order.

        The ratings are gathered once; the batches are slices of them, without copies.
        """
        whole = self.gather(rows)
        cuts = range(0, len(rows), batch_size)
        edges_S1 = whole.starts[[*cuts, len(rows)]].tolist()
        first, touched = self.backend.touched_columns(whole, edges_S1, self.n_columns)
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


def one_row(columns: IntArray, values: FloatArray, device: torch.device) -> RowBatch:
    """Return the ratings of a row that is not in the data, minus their centre, as a batch."""
    order = np.argsort(columns)
    n = len(columns)
    return RowBatch(
        rows=torch.zeros(1, dtype=torch.int64, device=device),
        starts=torch.tensor([0, n], device=device),
        columns=torch.from_numpy(columns[order].astype(np.int64)).to(device),
        values=torch.from_numpy(values[order].astype(np.float32)).to(device),
        row_of=torch.zeros(n, dtype=torch.int64, device=device),
    )


def most_ratings(ratings: Ratings, axis: Axis, batch_size: int) -> int:
    """Return an upper bound of the ratings of a batch: those of the rows with most ratings."""
    counts = ratings.user_counts if axis == "user" else ratings.item_counts
    return int(np.sort(counts)[-batch_size:].sum())


def most_columns(training: Training, axis: Axis) -> int:
    """Return the number of columns of the wider one of both domains' rating matrices."""
    return max(ratings.shape(axis)[1] for ratings in (training.source, training.target))
