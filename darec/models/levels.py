"""Ratings as one of a few levels, as RBM and CF-NADE model them: five stars, or others.

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
from darec.core.tables import as_array
from darec.data.ratings import HIGHEST, LOWEST, Axis, FloatArray, IntArray, Ratings
from darec.data.scale import STARS

WHOLE_L = np.arange(LOWEST, HIGHEST + 1)
"""The levels of whole stars."""
MOST_LEVELS = 21
"""Most levels of a model: each has weights of its own."""


class Levels:
    """The levels of a domain's ratings: ``stars_L``, ascending.

    They are the distinct ratings and both ends of the scale. On the scale from 1 to 5 they are all
    five whole stars if no rating lies between them.
    """

    def __init__(self, ratings: Ratings) -> None:
        self.stars_L: npt.NDArray[np.float64] = distinct(ratings)
        self._between_C = (self.stars_L[1:] + self.stars_L[:-1]) / 2

    def __len__(self) -> int:
        return len(self.stars_L)

    def of(self, values_n: torch.Tensor) -> torch.Tensor:
        """Return the level that is nearest to each rating, i64[n]; the higher of two."""
        between_C = torch.from_numpy(self._between_C).to(values_n)
        return torch.bucketize(values_n, between_C, right=True)

    def of_ratings(self, ratings: Ratings) -> npt.NDArray[np.int64]:
        """Return the levels of a domain's ratings, i64[N]."""
        levels_N: npt.NDArray[np.int64] = np.searchsorted(
            self._between_C, ratings.values, side="right"
        )
        return levels_N

    def expected(
        self, logits_nL: torch.Tensor, expected_nL: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean in stars of distributions, [n]; levels are the last axis.

        The logits of a centre are added if there is one.
        """
        stars_L = torch.from_numpy(self.stars_L).to(logits_nL)
        logits_nL = logits_nL if expected_nL is None else logits_nL + expected_nL
        return torch.softmax(logits_nL, -1) @ stars_L


def distinct(ratings: Ratings) -> npt.NDArray[np.float64]:
    """Return the levels of a domain's ratings in stars, [L], however many they are."""
    if ratings.scale == STARS and not (ratings.values % 1).any():
        return WHOLE_L
    return np.unique(np.append(ratings.values, [LOWEST, HIGHEST])).astype(np.float64)


def level_shares(ratings: Ratings) -> npt.NDArray[np.float64]:
    """Return the share of each level in a domain, [L], after one more rating of each level."""
    levels = Levels(ratings)
    counts_L = np.bincount(levels.of_ratings(ratings), minlength=len(levels)) + 1.0
    shares_L: npt.NDArray[np.float64] = counts_L / counts_L.sum()
    return shares_L


def log_frequencies(ratings: Ratings, axis: Axis) -> torch.Tensor:
    """Return the logarithm of each column's share of each level, [M, L].

    As many ratings as there are levels are added to each column, with the shares of the whole
    domain. So the shares of a column with few ratings are close to those of the domain.
    """
    columns = ratings.items if axis == "user" else ratings.users
    levels = Levels(ratings)
    n_columns, n_levels = ratings.shape(axis)[1], len(levels)
    cells_N = columns * np.int64(n_levels) + levels.of_ratings(ratings)
    counts = np.bincount(cells_N, minlength=n_columns * n_levels)
    counts_ML = counts.reshape(n_columns, n_levels) + n_levels * level_shares(ratings)
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

    levels: Levels
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
            return as_array(self.levels.expected(logits_BLI.transpose(1, 2), expected_BIL))

    def of_hidden(
        self, hidden_BK: torch.Tensor, expected_BML: torch.Tensor | None = None
    ) -> FloatArray:
        """Return the expected stars of all columns for some rows' hidden units, f32[B, M]."""
        logits_BC = hidden_BK @ self.weight_MLK.flatten(0, 1).T
        logits_BML = logits_BC.view(len(hidden_BK), *self.bias_ML.shape) + self.bias_ML
        return as_array(self.levels.expected(logits_BML, expected_BML))
