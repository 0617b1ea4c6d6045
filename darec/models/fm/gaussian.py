"""A factorisation machine of ratings with Gaussian noise, as tables of two sides.

The mean prediction of all samples is one dot product. Shapes: U users, I items, F features of users
with one for the average user, K factors, S samples, W table width.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse

from darec.core.bias import REG_USER
from darec.core.center import CenterKind
from darec.core.new_user import NewUser
from darec.core.recommender import Weights
from darec.data.ratings import Domain, FloatArray, Ratings
from darec.data.split import Training
from darec.models.factors import Factors
from darec.models.fm.features import Features, of_new_row
from darec.models.fm.samples import Chain, Sample

UserBlocks = Callable[[Training], tuple[sparse.csr_matrix, ...]]
"""Returns the features of the users, other than their own, from ratings in both domains."""


class GaussianFM(Factors):
    """A machine of the target. The tables have all samples side by side; an epoch is a chain."""

    def __init__(
        self,
        training: Training,
        chain: Chain,
        center: CenterKind,
        user_blocks: UserBlocks,
        item_blocks: tuple[sparse.csr_matrix, ...] = (),
    ) -> None:
        width = table_width(chain)
        super().__init__(training, width, center)
        self._chain, self._blocks_of = chain, user_blocks
        self._users = Features(training.target.n_users, user_blocks(training))
        self._items = Features(training.target.n_items, item_blocks)
        self._n_items: dict[Domain, int] = {
            "target": training.target.n_items,
            "source": training.source.n_items,
        }
        n_features = 1 + sum(self._users.sizes[1:])
        self._feature_FW = np.zeros((n_features, width), np.float32)
        """w, half of ``|v|^2`` (means over samples) and the factors of every sample."""

    def train_epoch(self) -> dict[str, float]:
        """Sample a chain from its start; return the sum of squared training errors."""
        user_UW, item_IW = self.user_UK["target"], self.item_IK["target"]
        for table in (user_UW, item_IW, self._feature_FW):
            table[:] = 0
        user_UW[:, 1] = item_IW[:, 0] = 1
        ratings, residuals = self.ratings["target"], self.residuals("target")
        self._chain.draw(ratings, residuals, self._users, self._items, self._keep)
        return self.losses()

    def _keep(self, number: int, sample: Sample) -> None:
        """Add a sample to the tables."""
        user_UW, item_IW = self.user_UK["target"], self.item_IK["target"]
        n, rank, feature_FW = self._chain.n_samples, self._chain.rank, self._feature_FW
        columns = slice(2 + rank * number, 2 + rank * (number + 1))
        user_UW[:, 0] += sample.user_U / n
        user_UW[:, columns] = sample.user_UK / n
        item_IW[:, 1] += sample.item_I / n
        item_IW[:, columns] = sample.item_IK
        feature_FW[:, 0] += sample.feature_F / n
        feature_FW[:, 1] += np.square(sample.feature_FK).sum(1) / 2 / n
        feature_FW[:, columns] = sample.feature_FK

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return predictions f32[I] of a new user, whose ratings in both domains are features.

        The user's own feature is that of the average user. From target ratings a bias is learned,
        too, as a ridge mean: the factors of an own feature would have to be sampled. Without blocks
        of features the result is None.
        """
        if not self._users.blocks:
            return None
        x_F = of_new_row(self._blocks_of(ratings_of(user, self._n_items)))
        used, n = np.flatnonzero(x_F), self._chain.n_samples
        sums_W = x_F[used] @ self._feature_FW[used]
        factors_W: FloatArray = sums_W / np.float32(n)
        factors_W[0] = sums_W[0] + np.square(sums_W[2:]).sum() / 2 / n
        factors_W[0] -= np.square(x_F[used]) @ self._feature_FW[used, 1]
        factors_W[1] = 1
        scores_I = self.center["target"].of_new_user(user) + self.item_IK["target"] @ factors_W
        return shifted(scores_I, user)

    def weights(self) -> Weights:
        """Return the tables, and that of the features."""
        return {**super().weights(), "feature": torch.from_numpy(self._feature_FW)}

    def load_weights(self, weights: Weights) -> None:
        """Predict from these tables from now on."""
        super().load_weights(weights)
        self._feature_FW = weights["feature"].numpy()


def table_width(chain: Chain) -> int:
    """Return the width of the tables: two biases, and the factors of every kept sample."""
    return 2 + chain.rank * chain.n_samples


def ratings_of(user: NewUser, n_items: dict[Domain, int]) -> Training:
    """Return a new user's ratings as those of a pair with one user."""
    one = {
        domain: Ratings(np.zeros(len(own), np.int32), own.items, own.values, 1, n_items[domain])
        for domain, own in user.items()
    }
    return Training(source=one["source"], target=one["target"])


def shifted(scores_I: FloatArray, user: NewUser) -> FloatArray:
    """Return the scores plus a new user's bias: the ridge mean of target ratings minus scores."""
    own = user["target"]
    b_user = float((own.values - scores_I[own.items]).sum()) / (REG_USER + len(own))
    return scores_I + np.float32(b_user)
