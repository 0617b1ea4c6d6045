"""A factorisation machine of the levels of ratings: an ordered probit.

A rating reaches a level if a latent score plus standard normal noise passes the cut point before
it. The prediction is the expectation of the stars, as a mean over samples.
Shapes: N pairs, U users, I items, B users asked for, F features of users with one for the average
user, K factors, S samples, L levels, C = L - 1 cut points.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from scipy import sparse

from darec.core.new_user import NewUser
from darec.core.recommender import Weights, check_domain
from darec.core.tables import add_dots
from darec.data.ratings import HIGHEST, LOWEST, Domain, FloatArray, IntArray
from darec.data.split import Training
from darec.models.fm.features import Features, of_new_row
from darec.models.fm.gaussian import UserBlocks, ratings_of, shifted
from darec.models.fm.samples import Chain, Sample
from darec.models.levels import MOST_LEVELS


@dataclass(frozen=True, eq=False)
class ProbitTables:
    """Every sample's latent scores ``user[u] + item[i] + a[u] . b[i]``, and its cut points."""

    user_SU: FloatArray
    user_SUK: FloatArray
    item_SI: FloatArray
    item_SIK: FloatArray
    cut_SC: FloatArray
    star_L: FloatArray
    """The stars of each level."""

    @property
    def item_IK(self) -> FloatArray:
        """The factors of each item, of all samples side by side."""
        n_items = self.item_SI.shape[1]
        item_IK: FloatArray = self.item_SIK.transpose(1, 0, 2).reshape(n_items, -1)
        return item_IK

    def scores(self, users: IntArray) -> FloatArray:
        """Return the expected stars of all items for some users, f32[B, I]."""
        return self.of_users(self.user_SU[:, users], self.user_SUK[:, users])

    def of_users(self, user_SB: FloatArray, user_SBK: FloatArray) -> FloatArray:
        """Return the expected stars of all items f32[B, I], from what is known of each user."""

        def latent(s: int) -> FloatArray:
            score_BI: FloatArray = user_SBK[s] @ self.item_SIK[s].T
            score_BI += user_SB[s, :, None]
            score_BI += self.item_SI[s]
            return score_BI

        return self._expected((user_SB.shape[1], self.item_SI.shape[1]), latent)

    def of_pairs(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the expected stars of single pairs, f32[N]."""

        def latent(s: int) -> FloatArray:
            score_N: FloatArray = self.user_SU[s][users] + self.item_SI[s][items]
            add_dots(score_N, self.user_SUK[s], self.item_SIK[s], users, items)
            return score_N

        return self._expected(users.shape, latent)

    def _expected(self, shape: tuple[int, ...], latent: Callable[[int], FloatArray]) -> FloatArray:
        """Return the mean over samples of the expected stars.

        The expectation is that of the middle between the stars of the lowest and of the highest
        level, plus ``gap / 2 erf((score - cut) / sqrt 2)`` for the gap between two levels.
        """
        n = len(self.cut_SC)
        total = torch.full(shape, float((self.star_L[0] + self.star_L[-1]) / 2))
        halves_C = np.diff(self.star_L) / 2 / max(1, n)
        for s, cut_C in enumerate(self.cut_SC):
            score = torch.from_numpy(latent(s))
            for cut, half in zip(cut_C, halves_C, strict=True):
                total += torch.erf((score - float(cut)) * 0.5**0.5) * float(half)
        expected: FloatArray = total.numpy()
        return expected


def few_levels(values_N: FloatArray) -> FloatArray:
    """Return ratings as at most `MOST_LEVELS` levels, in stars: themselves, if they are so few."""
    if len(np.unique(values_N)) <= MOST_LEVELS:
        return values_N
    steps = (MOST_LEVELS - 1) / (HIGHEST - LOWEST)
    return (LOWEST + np.round((values_N - LOWEST) * steps) / steps).astype(np.float32)


class ProbitFM:
    """A machine of the levels of target ratings. An epoch is a whole chain.

    The levels are the distinct ratings (`few_levels`). The tables have `Chain.n_samples` times
    ``K + 1`` values for each user and each item, and a prediction takes ``S (K + 4 C)`` steps.
    """

    domains: tuple[Domain, ...] = ("target",)

    def __init__(
        self,
        training: Training,
        chain: Chain,
        user_blocks: UserBlocks,
        item_blocks: tuple[sparse.csr_matrix, ...] = (),
    ) -> None:
        target = training.target
        self._target = target.take(np.lexsort((target.items, target.users)))
        self._chain, self._blocks_of = chain, user_blocks
        self._users = Features(target.n_users, user_blocks(training))
        self._items = Features(target.n_items, item_blocks)
        self._n_items: dict[Domain, int] = {
            "target": target.n_items,
            "source": training.source.n_items,
        }
        star_L, self._level_N = np.unique(few_levels(self._target.values), return_inverse=True)

        def empty(*shape: int) -> FloatArray:
            return np.zeros((chain.n_samples, *shape), np.float32)

        n_features = 1 + sum(self._users.sizes[1:])
        self._feature_SF, self._feature_SFK = empty(n_features), empty(n_features, chain.rank)
        self._tables = ProbitTables(
            empty(target.n_users),
            empty(target.n_users, chain.rank),
            empty(target.n_items),
            empty(target.n_items, chain.rank),
            empty(len(star_L) - 1),
            star_L,
        )

    def train_epoch(self) -> dict[str, float]:
        """Sample a chain from its start; return the sum of squared training errors."""
        if len(self._tables.star_L) > 1:  # else all ratings are equal, and so are all predictions
            self._chain.draw(self._target, self._level_N, self._users, self._items, self._keep)
        errors_N = self.predict(self._target.users, self._target.items) - self._target.values
        return {"loss_rating_target": float(np.square(errors_N, dtype=np.float64).sum())}

    def _keep(self, number: int, sample: Sample) -> None:
        """Write a sample into the tables."""
        tables = self._tables
        tables.user_SU[number], tables.user_SUK[number] = sample.user_U, sample.user_UK
        tables.item_SI[number], tables.item_SIK[number] = sample.item_I, sample.item_IK
        tables.cut_SC[number] = sample.cut_C
        self._feature_SF[number] = sample.feature_F
        self._feature_SFK[number] = sample.feature_FK

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the expected stars f32[N]; raises ``ValueError`` for another domain."""
        return self.tables(domain).of_pairs(users, items)

    def tables(self, domain: Domain = "target") -> ProbitTables:
        """Return the tables."""
        check_domain(self.domains, domain)
        return self._tables

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return the expected stars of all items f32[I] for a new user, as `GaussianFM` does."""
        x_F = of_new_row(self._blocks_of(ratings_of(user, self._n_items)))
        used = np.flatnonzero(x_F)
        x_f, v_SfK = x_F[used], self._feature_SFK[:, used]
        a_SK = np.einsum("f,sfk->sk", x_f, v_SfK)
        squares_S = np.einsum("f,sfk->s", np.square(x_f), np.square(v_SfK))
        c_S = self._feature_SF[:, used] @ x_f + (np.square(a_SK).sum(1) - squares_S) / 2
        return shifted(self._tables.of_users(c_S[:, None], a_SK[:, None])[0], user)

    def weights(self) -> Weights:
        """Return the tables, and those of the features."""
        arrays = {
            **vars(self._tables),
            "feature_SF": self._feature_SF,
            "feature_SFK": self._feature_SFK,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_weights(self, weights: Weights) -> None:
        """Predict from these tables from now on."""
        arrays = {name: weight.numpy() for name, weight in weights.items()}
        self._feature_SF, self._feature_SFK = arrays["feature_SF"], arrays["feature_SFK"]
        names = (field.name for field in fields(ProbitTables))
        self._tables = ProbitTables(*(arrays[name] for name in names))

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, which are the whole state of a fit of one epoch."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved tables."""
        self.load_weights(state["weights"])
