"""Samples of a factorisation machine by Gibbs (myfm, as in libFM), one at a time.

A machine predicts ``w0 + sum w_f x_f + sum_{f<g} v_f . v_g x_f x_g`` from the features of a user
and an item. Summed over the features of each, this is ``c_u + w_i + a_u . b_i``.
Shapes: N ratings, U users, I items, F features of users with one for the average user, K factors,
C cut points, S samples.
"""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from darec.data.ratings import Ratings
from darec.models.fm.features import Features, Matrix
from darec.models.libraries import library

SAMPLES = 50
"""Most samples kept. They are evenly spaced over the last three quarters of the chain."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One draw of all parameters, summed over the features of each user and each item."""

    user_U: Matrix
    user_UK: Matrix
    item_I: Matrix
    item_IK: Matrix
    feature_F: Matrix
    """w of each feature of a new user: the average user's own (with w0), then those of blocks."""
    feature_FK: Matrix
    cut_C: Matrix
    """Where a latent score passes from one level to the next; empty for Gaussian ratings."""


@dataclass(frozen=True)
class Chain:
    """How a chain is run."""

    rank: int
    init_stdev: float
    iterations: int
    seed: int

    @property
    def n_samples(self) -> int:
        """The number of samples kept."""
        return min(SAMPLES, self.iterations - self.iterations // 4)

    def draw(
        self,
        ratings: Ratings,
        values_N: npt.NDArray[Any],
        users: Features,
        items: Features,
        keep: Callable[[int, Sample], None],
    ) -> None:
        """Run the chain, and call ``keep`` with the number of each kept sample and the sample.

        Integer values are levels 0, 1, ... of an ordered probit; others have Gaussian noise. Only
        one sample is in memory at a time.
        """
        myfm, probit = library("myfm", "myfm"), values_N.dtype.kind == "i"
        machine = myfm.MyFMOrderedProbit if probit else myfm.MyFMRegressor
        first = self.iterations // 4
        spaced = np.linspace(first, self.iterations - 1, self.n_samples).round().astype(int)
        number = {int(position): n for n, position in enumerate(spaced)}

        def each(position: int, drawn: Any, *_: Any) -> tuple[bool, None]:
            if position in number:
                keep(number[position], _summed(drawn, users, items))
            return False, None

        with contextlib.redirect_stderr(io.StringIO()):  # hides the progress bar
            machine(self.rank, self.init_stdev, self.seed).fit(
                sparse.csr_matrix((len(ratings), 0)),
                values_N if probit else values_N.astype(np.float64),
                [
                    myfm.RelationBlock(ratings.users.astype(np.int64), users.matrix_RF),
                    myfm.RelationBlock(ratings.items.astype(np.int64), items.matrix_RF),
                ],
                n_iter=self.iterations,
                n_kept_samples=0,
                group_shapes=[*users.sizes, *items.sizes],
                callback=each,
            )


def _summed(drawn: Any, users: Features, items: Features) -> Sample:
    n = users.matrix_RF.shape[1]
    user_U, user_UK = users.summed(drawn.w[:n], drawn.V[:n])
    item_I, item_IK = items.summed(drawn.w[n:], drawn.V[n:])
    feature_F, feature_FK = users.of_average_row(drawn.w[:n], drawn.V[:n])
    feature_F[0] += drawn.w0
    cut_C = drawn.cutpoints[0] if drawn.cutpoints else np.zeros(0)
    return Sample(drawn.w0 + user_U, user_UK, item_I, item_IK, feature_F, feature_FK, cut_C)
