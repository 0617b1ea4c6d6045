"""Seconds per epoch of the sparse core against a plain dense implementation of the same formula.

Shapes: R rows and M columns of the rating matrix, B rows of a batch, K hidden units.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from darec.core.recommender import Run
from darec.data.ratings import Axis, Ratings
from darec.models.autorec import AutoRec, AutoRecConfig


@dataclass(frozen=True)
class Figure:
    """One measured value, its reference measured in the same run, and reference / value."""

    name: str
    value: float
    unit: str
    reference: float
    ratio: float


class DenseAutoRec:
    """Eq. 1-2 as most code writes it: densify the mini-batch, mask the squared error, Adam."""

    def __init__(self, autorec: AutoRec, ratings: Ratings) -> None:
        """Start from the weights, centre and generator of an untrained `AutoRec`."""
        config, weights = autorec.config, autorec.weights()
        self._batch_size = config.batch_size
        self._rows = ratings.rows(config.axis)
        centred = ratings.values - autorec.center.predict(ratings.users, ratings.items)
        self._values = centred[self._rows.order]
        self._w1 = weights["encoder_MK"].clone().requires_grad_()
        self._b1 = weights["encoder_bias_K"].clone().requires_grad_()
        self._w2 = weights["decoder_MK"].T.clone().requires_grad_()
        self._b2 = weights["decoder_bias_M"].clone().requires_grad_()
        parameters = [self._w1, self._b1, self._w2, self._b2]
        l2 = 2 * config.alpha
        kind = torch.optim.Adam if config.decay == "coupled" else torch.optim.AdamW
        self._adam = kind(parameters, lr=config.learning_rate, weight_decay=l2, fused=True)
        self._generator = torch.Generator()
        self._generator.set_state(autorec.state_dict()["generator"])

    def train_epoch(self) -> float:
        """Train one epoch over rated rows; return the summed squared error."""
        rated = torch.from_numpy(np.flatnonzero(self._rows.counts))
        total = 0.0
        order = rated[torch.randperm(len(rated), generator=self._generator)]
        for rows in torch.split(order, self._batch_size):
            ratings_BM, mask_BM = self._densify(rows)
            hidden_BK = torch.sigmoid(ratings_BM @ self._w1 + self._b1)
            errors_BM = (hidden_BK @ self._w2 + self._b2 - ratings_BM) * mask_BM
            loss = errors_BM.square().sum()
            self._adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step()
            total += loss.item()
        return total

    def weights(self) -> list[torch.Tensor]:
        """Return W1, b1, W2, b2 as `AutoRec.weights` does."""
        return [w.detach() for w in (self._w1, self._b1, self._w2.T, self._b2)]

    def _densify(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ratings_BM = torch.zeros(len(rows), self._rows.n_columns)
        mask_BM = torch.zeros_like(ratings_BM)
        for b, row in enumerate(rows.tolist()):
            span = slice(self._rows.starts[row], self._rows.starts[row + 1])
            columns = torch.from_numpy(self._rows.columns[span].astype(np.int64))
            ratings_BM[b, columns] = torch.from_numpy(self._values[span])
            mask_BM[b, columns] = 1.0
        return ratings_BM, mask_BM


def autorec_epoch(ratings: Ratings, axis: Axis, repeats: int) -> Figure:
    """Time an epoch of hidden 500, batch 256 of both, alternating; medians of ``repeats``."""
    config = AutoRecConfig(axis, hidden=500, alpha=0.01, batch_size=256)
    sparse = AutoRec(config, ratings, Run())
    dense = DenseAutoRec(sparse, ratings)
    sparse.train_epoch()
    dense.train_epoch()
    pairs = [(_seconds(sparse.train_epoch), _seconds(dense.train_epoch)) for _ in range(repeats)]
    ours, theirs = np.median(pairs, axis=0).tolist()
    return Figure(f"autorec_epoch_{axis}", ours, "s", theirs, theirs / ours)


def _seconds(epoch: Callable[[], object]) -> float:
    begin = time.perf_counter()
    epoch()
    return time.perf_counter() - begin
