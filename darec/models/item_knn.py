"""Item-based kNN (Koren, KDD 2008, section 2.2), as Surprise's ``KNNBaseline`` on a centre.

With the residuals ``e = r - centre``, two items with n common users have the similarity

    s_ij = n / (n + shrinkage) * sum_u e_ui e_uj / sqrt(sum_u e_ui^2 sum_u e_uj^2)

over these users. A prediction is the centre plus ``sum_j s_ij e_uj / (damping + sum_j s_ij)`` over
the k items most similar to i that the user rated. As in Surprise, only s > 0 counts.
Shapes: N pairs, U users, I items, n ratings of a user, B users asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from darec.core.center import Center, CenterKind, fit_centers
from darec.core.config import STRICT
from darec.core.new_user import NewUser
from darec.core.recommender import Run, Weights, check_domain
from darec.core.scoring import PAIRS_AT_ONCE
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training

NEIGHBOURS = 500
"""Most similar items that are kept of each item."""
CO_RATED_AT_ONCE = 2**22
"""Pairs of ratings of one user that are compared at a time. It bounds the memory."""


@dataclass(frozen=True, config=STRICT)
class ItemKNNConfig:
    """Hyper-parameters of the neighbours of items."""

    k: Annotated[int, Field(ge=1, le=NEIGHBOURS)] = 40
    """Most neighbours that a prediction takes."""
    shrinkage: Annotated[float, Field(ge=0, le=1e6)] = 100.0
    """The similarity of two items with this many common users is halved."""
    min_common: Annotated[int, Field(ge=1, le=10**6)] = 2
    """Fewest common users of two neighbours."""
    damping: Annotated[float, Field(ge=0, le=1e6)] = 0.3
    """Added to the sum of similarities that a prediction divides by; ours. In Surprise it is 0."""
    center: CenterKind = "hierarchical"
    """What is subtracted from ratings first. Surprise subtracts a bias."""


@plain_dataclass(frozen=True, eq=False)
class Neighbours:
    """Predicts from similar items that a user rated."""

    similar_II: sparse.csr_matrix
    """The similarities of each item's neighbours; it need not be symmetric."""
    rest_UI: sparse.csr_matrix
    """The users' training ratings minus their centre; it may have explicit zeros."""
    center: Center
    config: ItemKNNConfig

    @cached_property
    def _similar_to_II(self) -> sparse.csr_matrix:
        """The transposed similarities: of whom each item is a neighbour."""
        return sparse.csr_matrix(self.similar_II.T)

    @cached_property
    def _rated_UI(self) -> sparse.csr_matrix:
        """1 for each training rating."""
        return with_data(self.rest_UI, np.ones_like(self.rest_UI.data))

    def scores(self, users: IntArray) -> FloatArray:
        """Return the unclipped predictions of all items for some users, f32[B, I]."""
        scores_BI = self.center.tables().scores(users)
        rest_UI = self.rest_UI
        for scores_I, user in zip(scores_BI, users, strict=True):
            own = slice(rest_UI.indptr[user], rest_UI.indptr[user + 1])
            scores_I += self.of_rests(rest_UI.indices[own], rest_UI.data[own])
        return scores_BI

    def of_rests(self, items: IntArray, rests: FloatArray) -> FloatArray:
        """Return what a user's rests f32[n] on some items i32[n] add to all predictions, f32[I]."""
        near_In = strongest(sparse.csr_matrix(self._similar_to_II[items].T), self.config.k)
        return self._mean(near_In @ rests, near_In)

    def of_pairs(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the unclipped predictions of single pairs, f32[N]."""
        scores = self.center.predict(users, items)
        for begin in range(0, len(users), PAIRS_AT_ONCE):
            part = slice(begin, begin + PAIRS_AT_ONCE)
            own_NI, of_item_NI = self._rated_UI[users[part]], self.similar_II[items[part]]
            near_NI = strongest(sparse.csr_matrix(of_item_NI.multiply(own_NI)), self.config.k)
            sums_N = np.asarray(near_NI.multiply(self.rest_UI[users[part]]).sum(1)).ravel()
            scores[part] += self._mean(sums_N, near_NI)
        return scores

    def _mean(self, sums_N: FloatArray, near_NI: sparse.csr_matrix) -> FloatArray:
        """Return the weighted means f32[N] of which the sums are given; without neighbours 0."""
        total_N = np.asarray(near_NI.sum(1)).ravel() + np.float32(self.config.damping)
        found: FloatArray = np.divide(
            sums_N, total_N, out=np.zeros(len(sums_N), np.float32), where=total_N > 0
        )
        return found


def with_data(matrix: sparse.csr_matrix, data: FloatArray) -> sparse.csr_matrix:
    """Return a matrix with other values at the same places."""
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape)


def strongest(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """Return the k greatest entries of each row; of equal ones those of the first columns."""
    counts = np.diff(matrix.indptr)
    if counts.max(initial=0) <= k:
        return matrix
    matrix.sort_indices()
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-matrix.data, row))
    kept = np.sort(order[np.arange(len(row)) - matrix.indptr[row] < k])
    entries = matrix.data[kept], (row[kept], matrix.indices[kept])
    return sparse.csr_matrix(entries, matrix.shape)


def similarities(rest_UI: sparse.csr_matrix, config: ItemKNNConfig) -> sparse.csr_matrix:
    """Return each item's positive similarities [I, I], at most `NEIGHBOURS` of them.

    The time grows with the number of pairs of ratings of the same user. A block of items is
    compared with all items at a time.
    """
    rest_IU = sparse.csr_matrix(rest_UI.T)
    rated_IU = rest_IU.copy()
    rated_IU.data = np.ones_like(rest_IU.data)
    squared_IU = rest_IU.copy()
    squared_IU.data = np.square(rest_IU.data)
    kept = [_of_block(block, rest_IU, rated_IU, squared_IU, config) for block in _blocks(rest_UI)]
    return sparse.csr_matrix(sparse.vstack(kept), dtype=np.float32)


def _blocks(rest_UI: sparse.csr_matrix) -> Iterator[slice]:
    """Yield the items in blocks whose users have about `CO_RATED_AT_ONCE` ratings."""
    n_items = rest_UI.shape[1]
    n_of_user = np.diff(rest_UI.indptr)
    work_I = np.bincount(rest_UI.indices, np.repeat(n_of_user, n_of_user), n_items)
    block_I = (np.cumsum(work_I) // CO_RATED_AT_ONCE).astype(np.int64)
    for begin, end in pairwise([0, *(np.flatnonzero(np.diff(block_I)) + 1).tolist(), n_items]):
        yield slice(begin, end)


def _of_block(
    block: slice,
    rest_IU: sparse.csr_matrix,
    rated_IU: sparse.csr_matrix,
    squared_IU: sparse.csr_matrix,
    config: ItemKNNConfig,
) -> sparse.csr_matrix:
    """Return the similarities of a block of items."""
    common = rated_IU[block] @ rated_IU.T
    enough = common.data >= config.min_common
    common.data = np.where(enough, common.data / (common.data + config.shrinkage), 0)
    norm = (squared_IU[block] @ rated_IU.T).multiply(rated_IU[block] @ squared_IU.T).tocsr()
    norm.eliminate_zeros()
    norm.data = 1 / np.sqrt(norm.data)
    similar = (rest_IU[block] @ rest_IU.T).multiply(norm).multiply(common).tocoo()
    kept = (similar.data > 0) & (similar.row + block.start != similar.col)
    entries = similar.data[kept], (similar.row[kept], similar.col[kept])
    return strongest(sparse.csr_matrix(entries, similar.shape), NEIGHBOURS)


class ItemKNN:
    """Neighbours of items on the target's rests. An epoch computes all similarities."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(self, config: ItemKNNConfig, training: Training) -> None:
        self._target, center = training.target, fit_centers(config.center, training)["target"]
        none, n_items = np.zeros(0, np.int64), self._target.n_items
        nothing = sparse.csr_matrix((none.astype(np.float32), (none, none)), (n_items, n_items))
        rest_UI = _rests(self._target, center.residuals(self._target))
        self._neighbours = Neighbours(nothing, rest_UI, center, config)

    @property
    def reads_source(self) -> bool:
        """Whether source ratings change what it predicts for a user."""
        return self._neighbours.config.center == "hierarchical"

    def train_epoch(self) -> dict[str, float]:
        """Compute the similarities. There is no loss: nothing is minimised."""
        self._use(similarities(self._neighbours.rest_UI, self._neighbours.config))
        return {}

    def _use(self, similar_II: sparse.csr_matrix) -> None:
        old = self._neighbours
        self._neighbours = Neighbours(similar_II, old.rest_UI, old.center, old.config)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return predictions f32[N], unclipped; raises ``ValueError`` for another domain."""
        return self.tables(domain).of_pairs(users, items)

    def tables(self, domain: Domain = "target") -> Neighbours:
        """Return what predicts all items."""
        check_domain(self.domains, domain)
        return self._neighbours

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return the predictions of all items f32[I] from a new user's target ratings."""
        own, near = user["target"], self._neighbours
        center_I = near.center.of_new_user(user)
        order = np.argsort(own.items)
        rests = (own.values - center_I[own.items])[order]
        return center_I + near.of_rests(own.items[order], rests)

    def weights(self) -> Weights:
        """Return the similarities as the parts of a CSR matrix."""
        similar_II = self._neighbours.similar_II
        parts = {
            "similarity": similar_II.data,
            "item": similar_II.indices,
            "start": similar_II.indptr,
        }
        return {name: torch.from_numpy(part) for name, part in parts.items()}

    def load_weights(self, weights: Weights) -> None:
        """Predict from these similarities from now on."""
        parts = tuple(weights[name].numpy() for name in ("similarity", "item", "start"))
        n_items = self._target.n_items
        self._use(sparse.csr_matrix(parts, (n_items, n_items)))

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, which are the whole state."""
        return {"weights": self.weights()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from saved similarities."""
        self.load_weights(state["weights"])


def _rests(ratings: Ratings, residuals: FloatArray) -> sparse.csr_matrix:
    rows = ratings.rows("user")
    parts = residuals[rows.order].astype(np.float32), rows.columns, rows.starts
    return sparse.csr_matrix(parts, ratings.shape("user"))


def build_item_knn(config: ItemKNNConfig, training: Training, run: Run) -> ItemKNN:
    """Build the neighbours of items. Nothing is random, so ``run`` has no effect."""
    return ItemKNN(config, training)


def n_weights_item_knn(config: ItemKNNConfig, training: Training) -> int:
    """Return an upper bound of the stored similarities and their positions."""
    target = training.target
    co_rated = int(np.square(target.user_counts).sum())
    return 2 * min(co_rated, NEIGHBOURS * target.n_items) + target.n_items + 1
