"""Ratings as one of five star levels, as RBM and CF-NADE model them.

Shapes: B rows of a batch, M columns of the rating matrix, N ratings of a domain, n of a batch,
L levels, K units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
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


def levels_of(ratings: Ratings) -> npt.NDArray[np.int64]:
    """Return the star levels 0 to 4 of a domain's ratings, i64[N]."""
    levels_N: npt.NDArray[np.int64] = np.floor(ratings.values + 0.5).astype(np.int64) - 1
    return levels_N


def level_shares(ratings: Ratings) -> npt.NDArray[np.float64]:
    """Return the share of each level in a domain, [L], after one more rating of each level."""
    counts_L = np.bincount(levels_of(ratings), minlength=LEVELS) + 1.0
    shares_L: npt.NDArray[np.float64] = counts_L / counts_L.sum()
    return shares_L


def log_frequencies(ratings: Ratings, axis: Axis) -> torch.Tensor:
    """Return the logarithm of each column's share of each level, [M, L].

    Five ratings with the shares of the whole domain are added to each column. So the shares of a
    column with few ratings are close to those of the domain.
    """
    columns = ratings.items if axis == "user" else ratings.users
    levels = levels_of(ratings)
    n_columns = ratings.shape(axis)[1]
    counts = np.bincount(columns * np.int64(LEVELS) + levels, minlength=n_columns * LEVELS)
    counts_ML = counts.reshape(n_columns, LEVELS) + LEVELS * level_shares(ratings)
    return torch.from_numpy(np.log(counts_ML / counts_ML.sum(1, keepdims=True))).float()


def level_sums(weight_MLK: torch.Tensor, batch: RowBatch, level_n: torch.Tensor) -> torch.Tensor:
    """Return, for each row, the sum over its ratings of ``weight[column, level]``, [B, K]."""
    index_n = batch.columns * weight_MLK.shape[1] + level_n
    weight_CK = weight_MLK.flatten(0, 1)
    return F.embedding_bag(index_n, weight_CK, batch.starts, mode="sum", include_last_offset=True)


def weighted_level_sums(
    weight_MLK: torch.Tensor, batch: RowBatch, factor_nL: torch.Tensor
) -> torch.Tensor:
    """Return, for each row, the sum of ``factor * weight[column, level]``, [B, K].

    It runs over all levels of each of the row's ratings.
    """
    n_levels = weight_MLK.shape[1]
    levels_L = torch.arange(n_levels, device=batch.columns.device)
    return F.embedding_bag(
        (batch.columns[:, None] * n_levels + levels_L).flatten(),
        weight_MLK.flatten(0, 1),
        batch.starts * n_levels,
        mode="sum",
        per_sample_weights=factor_nL.flatten(),
        include_last_offset=True,
    )


def none_expected(users: IntArray) -> None:
    """Return None: nothing is expected of any user before the model is asked."""


@dataclass(frozen=True, eq=False)
class LevelTables:
    """Expected stars of levels with the logits ``weight[column, level] . hidden[row] + bias``."""

    axis: Axis
    hidden_RK: torch.Tensor
    weight_MLK: torch.Tensor
    bias_ML: torch.Tensor
    expected: Callable[[IntArray], torch.Tensor | None] = none_expected
    """Maps users to the logits that a centre adds for all items, [B, I, L]; None: it adds none."""

    @property
    def item_IK(self) -> FloatArray:
        """What the model knows of each item: its row's hidden units, or its column's weights."""
        rows_are_items = self.axis == "item"
        return as_array(self.hidden_RK if rows_are_items else self.weight_MLK.flatten(1))

    def scores(self, users: IntArray) -> FloatArray:
        """Return the expected stars of all items for some users, f32[B, I]."""
        picked_B = torch.from_numpy(users.astype(np.int64)).to(self.hidden_RK.device)
        with torch.no_grad():
            expected_BIL = self.expected(users)
            if self.axis == "user":
                return self.of_hidden(self.hidden_RK[picked_B], expected_BIL)
            weight_BLK, bias_BL = self.weight_MLK[picked_B], self.bias_ML[picked_B]
            logits_BLI = weight_BLK @ self.hidden_RK.T + bias_BL[:, :, None]
            return as_array(expected_stars(logits_BLI.transpose(1, 2), expected_BIL))

    def of_hidden(
        self, hidden_BK: torch.Tensor, expected_BML: torch.Tensor | None = None
    ) -> FloatArray:
        """Return the expected stars of all columns for some rows' hidden units, f32[B, M]."""
        logits_BC = hidden_BK @ self.weight_MLK.flatten(0, 1).T
        logits_BML = logits_BC.view(len(hidden_BK), *self.bias_ML.shape) + self.bias_ML
        return as_array(expected_stars(logits_BML, expected_BML))


def expected_stars(
    logits_nL: torch.Tensor, expected_nL: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean of distributions over one to five stars, [n]; levels are the last axis.

    The logits of a centre are added if there is one.
    """
    stars_L = torch.arange(1.0, LEVELS + 1, device=logits_nL.device)
    logits_nL = logits_nL if expected_nL is None else logits_nL + expected_nL
    return torch.softmax(logits_nL, -1) @ stars_L
