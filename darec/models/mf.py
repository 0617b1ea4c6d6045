"""Biased matrix factorisation: a vector for each user and item of each domain.

A user's vector in a domain is ``x = (u, b_u)``, an item's is ``y = (v, b_i)``, and a rating minus
its centre is ``u . v + b_u + b_i``. Shapes: B ratings, n ratings of a new user, U users, I items of
a domain, K factors, X = K + 1.
"""

import dataclasses
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.center import CenterKind
from darec.core.config import STRICT, BatchSize, LearningRate
from darec.core.fold_in import Matrix
from darec.data.ratings import Domain, Ratings
from darec.data.split import Training

INIT_STD = 0.1
"""Standard deviation of initial factors. Biases start at 0."""


@dataclass(frozen=True, config=STRICT)
class MFConfig:
    """Hyper-parameters of the two factorisations, and of how a mapping is fitted.

    Subclasses inherit the descriptions below, but would not inherit texts below the fields.
    """

    factors: Annotated[
        int,
        Field(ge=1, le=1000, description="Width K of user and item factors, one for both domains."),
    ] = 10
    reg: Annotated[
        float,
        Field(ge=0, le=1e3, description="Ridge of each rating on the vectors that it reads."),
    ] = 0.05
    center: Annotated[
        CenterKind,
        Field(description="What is subtracted from the ratings of each domain first; ours."),
    ] = "hierarchical"
    learning_rate: Annotated[
        LearningRate, Field(description="Adam's step size for factors and biases.")
    ] = 5e-3
    batch_size: Annotated[BatchSize, Field(description="Ratings of a mini-batch.")] = 1024
    mapping_reg: Annotated[
        float,
        Field(
            ge=1e-9,
            le=1e6,
            description="Ridge on the mapping, divided by the number of users it is fitted to.",
        ),
    ] = 1.0
    mapping_learning_rate: Annotated[
        LearningRate, Field(description="Adam's step size for the mapping.")
    ] = 5e-3
    mapping_batch_size: Annotated[
        BatchSize, Field(description="Users of a mini-batch of the mapping.")
    ] = 64


class MFNet(nn.Module):
    """The vectors of users and items of both domains, and the mapping."""

    def __init__(
        self,
        ratings: dict[Domain, Ratings],
        factors: int,
        mapping: nn.Module,
        generator: torch.Generator,
    ) -> None:
        super().__init__()

        def table(size: int) -> nn.Parameter:
            values = torch.randn(size, factors + 1, generator=generator) * INIT_STD
            values[:, factors] = 0
            return nn.Parameter(values)

        self.user_UX = nn.ParameterDict({d: table(r.n_users) for d, r in ratings.items()})
        self.item_IX = nn.ParameterDict({d: table(r.n_items) for d, r in ratings.items()})
        self.mapping = mapping
        for layer in mapping.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def scores(user_BX: torch.Tensor, item_BX: torch.Tensor) -> torch.Tensor:
    """Return ``u . v + b_u + b_i`` of each pair, [B]."""
    bias_B = user_BX[:, -1] + item_BX[:, -1]
    return (user_BX[:, :-1] * item_BX[:, :-1]).sum(1) + bias_B


@dataclasses.dataclass(frozen=True, eq=False)
class Prior:
    """What trained users say of a new one: a Gaussian of vectors, and the noise of ratings."""

    mean_X: Matrix
    covariance_XX: Matrix
    noise: float

    @staticmethod
    def of(vector_UX: Matrix, noise: float) -> "Prior":
        """Return the prior of these vectors, and of the mean squared error of ratings."""
        mean_X = vector_UX.mean(0)
        centred_UX = vector_UX - mean_X
        return Prior(mean_X, centred_UX.T @ centred_UX / len(vector_UX), max(1e-6, noise))

    def posterior(self, item_nX: Matrix, rest_n: Matrix) -> Matrix:
        """Return the mean [X] of the vectors x with ``item_nX x = rest_n + noise``.

        With the mean m, the covariance S and the items F it is
        ``m + (S F'F + noise)^-1 S F' (rest - F m)``.
        """
        shared_Xn = self.covariance_XX @ item_nX.T
        gram_XX = shared_Xn @ item_nX + self.noise * np.eye(len(self.mean_X))
        found_X = np.linalg.solve(gram_XX, shared_Xn @ (rest_n - item_nX @ self.mean_X))
        return self.mean_X + found_X


def n_weights_mf(config: MFConfig, training: Training) -> int:
    """Return the number of factors and biases of both domains."""
    n_items = training.source.n_items + training.target.n_items
    return (2 * training.target.n_users + n_items) * (config.factors + 1)
