"""Levels of ratings around a centre: for each pair a distribution whose mean the centre predicts.

``p_k(c) ~ q_k exp(t k - w k^2)``, with q the shares of the levels in a domain and with the t that
gives p the mean c (exponential tilting). The shares alone would be as wide as all ratings are; w is
that of maximum likelihood and makes p as narrow as the ratings are around their centres.

Shapes: N training ratings, n pairs, L levels, T values of t, G means for which t is known.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from darec.data.ratings import HIGHEST, LOWEST, FloatArray, Ratings
from darec.models.levels import Levels, level_shares

MARGIN = 0.02
"""How far from the lowest and highest level a mean stays, in stars: t is infinite there."""
STEP = 0.01
"""Distance of the means for which t is computed, in stars; t is linear between them."""
STEEPEST = 60.0
"""The largest t that is looked for."""
NARROWEST = 5.0
"""The largest w that is looked for."""
MEANS_G = np.linspace(LOWEST + MARGIN, HIGHEST - MARGIN, round((HIGHEST - LOWEST) / STEP) - 3)
Array = npt.NDArray[np.float64]


class Tilt:
    """The tilted levels of a domain."""

    def __init__(self, ratings: Ratings, centers_N: FloatArray, device: torch.device) -> None:
        """``centers_N`` are the centres of the ratings, in stars."""
        levels = Levels(ratings)
        stars_L = levels.stars_L
        place_N = np.rint((centers_N - MEANS_G[0]) / STEP).clip(0, len(MEANS_G) - 1)
        cell_N = place_N.astype(np.int64) * len(levels) + levels.of_ratings(ratings)
        n_cells = len(MEANS_G) * len(levels)
        count_GL = np.bincount(cell_N, minlength=n_cells).reshape(-1, len(levels))
        log_shares_L = np.log(level_shares(ratings))

        def base(narrow: float) -> Array:
            of_levels: Array = log_shares_L - narrow * np.square(stars_L - stars_L.mean())
            return of_levels

        def loss(narrow: float) -> float:
            logits_GL = base(narrow) + tilts(base(narrow), stars_L)[:, None] * stars_L
            return -float((count_GL * log_softmax(logits_GL, axis=1)).sum())

        narrow = minimize_scalar(loss, bounds=(0.0, NARROWEST), method="bounded").x
        self._tilt_G, self._base_L, self._star_L = (
            torch.from_numpy(array).float().to(device)
            for array in (tilts(base(narrow), stars_L), base(narrow), stars_L)
        )

    def logits(self, center: torch.Tensor) -> torch.Tensor:
        """Return the logits of levels [..., L] whose mean is the centre [...], within the scale."""
        last = len(self._tilt_G) - 1
        place = ((center - MEANS_G[0]) / STEP).clamp(0, last)
        below = place.long().clamp(max=last - 1)
        tilt = torch.lerp(self._tilt_G[below], self._tilt_G[below + 1], place - below)
        return self._base_L + tilt[..., None] * self._star_L


def tilts(base_L: Array, stars_L: Array) -> Array:
    """Return the t of each of the means `MEANS_G`, by interpolation between many values of t."""
    tilt_T = np.linspace(-STEEPEST, STEEPEST, 6001)
    mean_T = softmax(base_L + tilt_T[:, None] * stars_L, axis=1) @ stars_L
    return np.interp(MEANS_G, mean_T, tilt_T)


def reached(
    level_n: torch.Tensor, n_levels: int, expected_nL: torch.Tensor | None = None
) -> torch.Tensor:
    """Return 1 for each level that a rating reaches and 0 for those above it, [n, L].

    Given the logits of what was expected, the probability of reaching each level is subtracted.
    """
    levels_L = torch.arange(n_levels, device=level_n.device)
    reached_nL = (levels_L <= level_n[:, None]).float()
    if expected_nL is None:
        return reached_nL
    p_nL = torch.softmax(expected_nL, -1)
    return reached_nL - p_nL.flip(-1).cumsum(-1).flip(-1)
