"""Ratings as one of five star levels, as RBM and CF-NADE model them.

Shapes: B rows of a batch, M columns of the rating matrix, n ratings, L levels, K units.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from darec.core.batches import RowBatch
from darec.core.scoring import PAIRS_AT_ONCE
from darec.core.tables import as_array
from darec.data.ratings import Axis, FloatArray, IntArray, Ratings

LEVELS = 5
LEVEL_PAIRS_AT_ONCE = PAIRS_AT_ONCE // LEVELS
"""Pairs scored at a time. Each pair reads one row of weights for each level."""


def level_of(values_n: torch.Tensor) -> torch.Tensor:
    """Return the star levels 0 to 4 of ratings, i64[n]. Halves are rounded up."""
    return (values_n + 0.5).long() - 1


def log_frequencies(ratings: Ratings, axis: Axis) -> torch.Tensor:
    """Return the logarithm of each column's share of each level, [M, L].

    Five ratings with the shares of the whole domain are added to each column. So the shares of a
    column with few ratings are close to those of the domain.
    """
    columns = ratings.items if axis == "user" else ratings.users
    levels = np.floor(ratings.values + 0.5).astype(np.int64) - 1
    n_columns = ratings.shape(axis)[1]
    counts = np.bincount(columns * np.int64(LEVELS) + levels, minlength=n_columns * LEVELS)
    all_L = np.bincount(levels, minlength=LEVELS) + 1.0
    counts_ML = counts.reshape(n_columns, LEVELS) + LEVELS * all_L / all_L.sum()
    return torch.from_numpy(np.log(counts_ML / counts_ML.sum(1, keepdims=True))).float()


def level_sums(weight_MLK: torch.Tensor, batch: RowBatch, level_n: torch.Tensor) -> torch.Tensor:
    """Return, for each row, the sum over its ratings of ``weight[column, level]``, [B, K]."""
    index_n = batch.columns * weight_MLK.shape[1] + level_n
    weight_CK = weight_MLK.flatten(0, 1)
    return F.embedding_bag(index_n, weight_CK, batch.starts, mode="sum", include_last_offset=True)


@dataclass(frozen=True, eq=False)
class LevelTables:
    """Expected stars of levels with the logits ``weight[column, level] . hidden[row] + bias``."""

    axis: Axis
    hidden_RK: torch.Tensor
    weight_MLK: torch.Tensor
    bias_ML: torch.Tensor

    @property
    def item_IK(self) -> FloatArray:
        """What the model knows of each item: its row's hidden units, or its column's weights."""
        rows_are_items = self.axis == "item"
        return as_array(self.hidden_RK if rows_are_items else self.weight_MLK.flatten(1))

    def scores(self, users: IntArray) -> FloatArray:
        """Return the expected stars of all items for some users, f32[B, I]."""
        picked_B = torch.from_numpy(users.astype(np.int64)).to(self.hidden_RK.device)
        with torch.no_grad():
            if self.axis == "user":
                return self.of_hidden(self.hidden_RK[picked_B])
            weight_BLK, bias_BL = self.weight_MLK[picked_B], self.bias_ML[picked_B]
            logits_BLI = weight_BLK @ self.hidden_RK.T + bias_BL[:, :, None]
            return as_array(expected_stars(logits_BLI.transpose(1, 2)))

    def of_hidden(self, hidden_BK: torch.Tensor) -> FloatArray:
        """Return the expected stars of all columns for some rows' hidden units, f32[B, M]."""
        logits_BC = hidden_BK @ self.weight_MLK.flatten(0, 1).T
        logits_BML = logits_BC.view(len(hidden_BK), *self.bias_ML.shape) + self.bias_ML
        return as_array(expected_stars(logits_BML))


def expected_stars(logits_nL: torch.Tensor) -> torch.Tensor:
    """Return the mean of distributions over one to five stars, [n]; levels are the last axis."""
    stars_L = torch.arange(1.0, LEVELS + 1, device=logits_nL.device)
    return torch.softmax(logits_nL, -1) @ stars_L
