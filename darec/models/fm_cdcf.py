"""FM-CDCF (Loni et al., ECIR 2014): a factorisation machine with source ratings as features.

The features of a rating are its user, its target item, and the user's normalised training ratings
in the source: ``r = w0 + sum w_f x_f + sum_{f<g} v_f . v_g x_f x_g``. Its parameters are sampled by
Gibbs (myfm, as in libFM), and predictions are the mean over samples.
Shapes: U users, I target items, J source items, F features of a user, K factors, W table width.
"""

import contextlib
import io
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from darec.core.bias import REG_USER
from darec.core.center import CenterKind
from darec.core.config import STRICT
from darec.core.fold_in import NewUser
from darec.core.recommender import Run, Weights
from darec.data.ratings import HIGHEST, FloatArray, Ratings
from darec.data.split import Training
from darec.models.factors import Factors
from darec.models.libraries import library
from darec.seeds import derive

Norm = Literal["n", "sqrt_n", "none", "centred"]
SAMPLES = 50
"""Most samples kept. They are evenly spaced over the last three quarters of the chain."""


@dataclass(frozen=True, config=STRICT)
class FMCDCFConfig:
    """Hyper-parameters of FM-CDCF. Gibbs sampling has no learning rate and no ridge."""

    rank: Annotated[int, Field(ge=1, le=1000)] = 8
    """Width K of the factors of each feature."""
    init_stdev: Annotated[float, Field(ge=1e-9, le=10)] = 0.1
    """Standard deviation of initial factors."""
    iterations: Annotated[int, Field(ge=2, le=10**5)] = 100
    """Gibbs sweeps of a fit."""
    norm: Norm = "sqrt_n"
    """How a source rating r of a user with n ratings becomes a feature. ``n``: r / 5 / n;
    ``sqrt_n``: r / 5 / sqrt(n); ``none``: r / 5; ``centred``: ((r - mean) / 4 + 1) / n, with the
    user's mean rating in the source."""
    max_aux: Annotated[int, Field(ge=0, le=10**9)] = 0
    """How many source ratings of each user count, those of the most rated items first. 0: all. The
    authors' code uses 5."""
    center: CenterKind = "none"
    """What is subtracted from target ratings first; ours. The authors subtract nothing."""


class FMCDCF(Factors):
    """FM-CDCF. The tables have all samples' factors side by side. An epoch is a whole chain."""

    def __init__(self, config: FMCDCFConfig, training: Training, run: Run) -> None:
        self._config, self._seed = config, derive(run.seed, "fm_cdcf") % 2**31
        self._popularity_J = training.source.item_counts
        self._source_UJ = source_features(training.source, config.norm, config.max_aux)
        super().__init__(training, table_width(config), config.center)
        width = table_width(config)
        self._feature_FW = np.zeros((1 + training.source.n_items, width), np.float32)
        """The average user's own feature, then each source item: w, half of ``|v|^2`` (both means
        over samples, the first w with w0) and the factors of every kept sample."""

    def train_epoch(self) -> dict[str, float]:
        """Sample a chain from its start; return the sum of squared training errors."""
        myfm, config, ratings = library("myfm", "myfm"), self._config, self.ratings["target"]
        n_users, n_items = ratings.n_users, ratings.n_items
        user_UF = sparse.hstack([sparse.identity(n_users), self._source_UJ], format="csr")
        blocks = [
            myfm.RelationBlock(ratings.users.astype(np.int64), user_UF),
            myfm.RelationBlock(
                ratings.items.astype(np.int64), sparse.identity(n_items, format="csr")
            ),
        ]
        model = myfm.MyFMRegressor(config.rank, config.init_stdev, self._seed)
        with contextlib.redirect_stderr(io.StringIO()):  # hides the progress bar
            model.fit(
                sparse.csr_matrix((len(ratings), 0)),
                self.residuals("target").astype(np.float64),
                blocks,
                n_iter=config.iterations,
                n_kept_samples=config.iterations - config.iterations // 4,
                group_shapes=[n_users, self._source_UJ.shape[1], n_items],
            )
        chain = model.predictor_.samples
        spaced = np.linspace(0, len(chain) - 1, n_samples(config)).round().astype(int)
        self._keep(user_UF, [chain[position] for position in spaced])
        return self.losses()

    def _keep(self, user_UF: sparse.csr_matrix, samples: list[Any]) -> None:
        """Write the samples into the tables, so that their mean prediction is one dot product.

        A sample predicts ``c_u + w_i + a_u . v_i``. Here ``a_u`` is the sum of the factors of the
        user's features, and ``c_u`` is everything that does not depend on the item.
        """
        user_UW, item_IW = self.user_UK["target"], self.item_IK["target"]
        n_features, rank = user_UF.shape[1], self._config.rank
        squared_UF = user_UF.multiply(user_UF).tocsr()
        feature_FW, n_users = self._feature_FW, len(user_UW)
        feature_FW[:] = 0
        user_UW[:, 0], user_UW[:, 1], item_IW[:, 0], item_IW[:, 1] = 0, 1, 1, 0
        for number, sample in enumerate(samples):
            w_F, v_FK = sample.w[:n_features], sample.V[:n_features]
            a_UK = user_UF @ v_FK
            own_U = (np.square(a_UK) - squared_UF @ np.square(v_FK)).sum(1) / 2
            user_UW[:, 0] += (sample.w0 + user_UF @ w_F + own_U) / len(samples)
            item_IW[:, 1] += sample.w[n_features:] / len(samples)
            columns = slice(2 + rank * number, 2 + rank * (number + 1))
            user_UW[:, columns] = a_UK / len(samples)
            item_IW[:, columns] = sample.V[n_features:]
            own_K = v_FK[:n_users].mean(0)
            features_FK = np.vstack([own_K, v_FK[n_users:]])
            feature_FW[0, 0] += (sample.w0 + w_F[:n_users].mean()) / len(samples)
            feature_FW[1:, 0] += w_F[n_users:] / len(samples)
            feature_FW[:, 1] += np.square(features_FK).sum(1) / 2 / len(samples)
            feature_FW[:, columns] = features_FK

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return predictions f32[I] from a new user's source ratings, which are features.

        The user's own feature is that of the average user. From target ratings only a bias is
        learned, as a ridge mean, since the factors of an own feature must be sampled.
        """
        source, own = user["source"], user["target"]
        one_user = Ratings(
            np.zeros(len(source), np.int32), source.items, source.values, 1, len(self._popularity_J)
        )
        x_J = source_features(
            one_user, self._config.norm, self._config.max_aux, self._popularity_J
        ).toarray()[0]
        x_F = np.concatenate([[1.0], x_J]).astype(np.float32)
        used = np.flatnonzero(x_F)
        sums_W = x_F[used] @ self._feature_FW[used]
        count = n_samples(self._config)
        factors_W: FloatArray = sums_W / np.float32(count)
        factors_W[0] = sums_W[0] + np.square(sums_W[2:]).sum() / 2 / count
        factors_W[0] -= np.square(x_F[used]) @ self._feature_FW[used, 1]
        factors_W[1] = 1
        scores_I = self.center["target"].of_new_user(user) + self.item_IK["target"] @ factors_W
        b_user = float((own.values - scores_I[own.items]).sum()) / (REG_USER + len(own))
        return scores_I + np.float32(b_user)

    def weights(self) -> Weights:
        """Return the tables, and that of the features."""
        return {**super().weights(), "source.feature": torch.from_numpy(self._feature_FW)}

    def load_weights(self, weights: Weights) -> None:
        """Predict from these tables from now on."""
        super().load_weights(weights)
        self._feature_FW = weights["source.feature"].numpy()


def n_samples(config: FMCDCFConfig) -> int:
    """Return the number of samples kept."""
    return min(SAMPLES, config.iterations - config.iterations // 4)


def table_width(config: FMCDCFConfig) -> int:
    """Return the width of the tables: two biases, and the factors of every kept sample."""
    return 2 + config.rank * n_samples(config)


def source_features(
    source: Ratings, norm: Norm, max_aux: int, popularity_J: npt.NDArray[np.int64] | None = None
) -> sparse.csr_matrix:
    """Return each user's normalised source ratings [U, J]: those of the most rated items.

    ``popularity`` is how often each item was rated, by default in these ratings.
    """
    rated_J = source.item_counts if popularity_J is None else popularity_J
    order = np.lexsort((-rated_J[source.items], source.users))
    users, items = source.users[order], source.items[order]
    rank = np.arange(len(users)) - (np.cumsum(source.user_counts) - source.user_counts)[users]
    kept = rank < (max_aux or len(users))
    users, items = users[kept], items[kept]
    values = source.values[order][kept].astype(np.float64)
    count = np.bincount(users, minlength=source.n_users)[users]
    if norm == "centred":
        mean_U = np.bincount(users, values, source.n_users) / np.maximum(
            1, np.bincount(users, minlength=source.n_users)
        )
        scaled = ((values - mean_U[users]) / 4 + 1) / count
    else:
        power = {"n": 1.0, "sqrt_n": 0.5, "none": 0.0}[norm]
        scaled = values / HIGHEST / count**power
    return sparse.csr_matrix((scaled, (users, items)), (source.n_users, source.n_items))


def build_fm_cdcf(config: FMCDCFConfig, training: Training, run: Run) -> FMCDCF:
    """Build FM-CDCF. It predicts the target, and runs on the CPU."""
    return FMCDCF(config, training, run)


def n_weights_fm_cdcf(config: FMCDCFConfig, training: Training) -> int:
    """Return the number of entries of the tables of users, items and features."""
    n_target = training.target.n_users + training.target.n_items
    return table_width(config) * (n_target + 1 + training.source.n_items)
