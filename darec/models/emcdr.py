"""EMCDR (Man et al., IJCAI 2017): a mapping from source to target user vectors, by squared error.

Latent factors of each domain come first, then a mapping ``f`` with the least ``|f(x_source) -
x_target|^2`` over users of both domains, linear or a perceptron. Cold users are predicted from
``f(x_source)``. The vectors here are those of a biased factorisation (`darec.models.mf`), so that a
cold user's bias is mapped as well. The code published with PTUPCDR, which has EMCDR too, keeps the
epoch with the lowest *test* error; here validation chooses.
Shapes: B users of a step, n users who fit the mapping, X factors and a bias.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.config import STRICT
from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.data.split import Training
from darec.models.mapped_mf import MappedMF
from darec.models.mf import MFConfig, n_weights_mf


@dataclass(frozen=True, config=STRICT)
class EMCDRConfig(MFConfig):
    """Hyper-parameters of EMCDR."""

    mapping: Literal["linear", "mlp"] = "linear"
    """``linear``: a matrix. ``mlp``: a hidden layer of 2 X units with tanh."""
    min_ratings: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Users with at least so many training ratings in each domain fit the mapping. The paper leaves
    out those with little data."""


class EMCDR(MappedMF):
    """EMCDR. The linear mapping is solved in closed form; the perceptron has steps of Adam."""

    def __init__(self, config: EMCDRConfig, training: Training, run: Run) -> None:
        width = config.factors + 1
        self._reg = config.mapping_reg
        self._matrix = nn.Linear(width, width, bias=False) if config.mapping == "linear" else None
        hidden, output = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        mapping = self._matrix or nn.Sequential(hidden, nn.Tanh(), output)
        super().__init__(config, training, run, mapping, config.min_ratings)

    def fit_mapping(self) -> float:
        """Minimise ``sum |f(x_source) - x_target|^2`` plus the ridge over users with enough data.

        For the perceptron each user is visited once.
        """
        if self._matrix is None:
            return self.fit_by_steps(self.errors)
        with torch.no_grad():
            self._matrix.weight.copy_(self._solution())
            return float(self.errors(self.fitting_users).sum())

    def errors(self, user_B: torch.Tensor) -> torch.Tensor:
        """Return the squared distances of mapped and target vectors [B]."""
        target_BX = self.net.user_UX["target"].detach().index_select(0, user_B)
        distance_BX: torch.Tensor = self.mapped(user_B) - target_BX
        return distance_BX.square().sum(1)

    def _solution(self) -> torch.Tensor:
        """Return the ridge solution [X, X]: the transpose of ``(S'S + reg I)^-1 S'T``."""
        source_nX, target_nX = (
            self.net.user_UX[name].index_select(0, self.fitting_users).double()
            for name in ("source", "target")
        )
        ridge_XX = self._reg * torch.eye(source_nX.shape[1]).to(source_nX)
        gram_XX = source_nX.T @ source_nX + ridge_XX
        solution_XX: torch.Tensor = torch.linalg.solve(gram_XX, source_nX.T @ target_nX)
        return solution_XX.T

    def mapped(self, user_B: torch.Tensor) -> torch.Tensor:
        """Return the mapped source vectors of users [B, X]."""
        source_BX = self.net.user_UX["source"].detach().index_select(0, user_B)
        return self._map(source_BX)

    def mapped_new(self, source_X: torch.Tensor, own: OwnRatings) -> torch.Tensor:
        """Return the mapped source vector of a new user [X]."""
        return self._map(source_X)

    def _map(self, source_BX: torch.Tensor) -> torch.Tensor:
        target_BX: torch.Tensor = self.net.mapping(source_BX)
        return target_BX


def build_emcdr(config: EMCDRConfig, training: Training, run: Run) -> EMCDR:
    """Build EMCDR on the training ratings of both domains."""
    return EMCDR(config, training, run)


def n_weights_emcdr(config: EMCDRConfig, training: Training) -> int:
    """Return the number of factors, biases and weights of the mapping."""
    return n_weights_mf(config, training) + 4 * (config.factors + 1) * (config.factors + 2)
