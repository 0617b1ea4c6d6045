"""The network of DARec (Fig. 1): an extractor, a domain classifier and rating predictors.

Shapes: B rows of a batch, K embedding, H extractor, P last hidden layer of a predictor, M columns
of a domain's rating matrix, n observed ratings of a batch.
"""

from typing import Literal

import torch
from torch import nn

from darec.core.backend import Backend
from darec.core.batches import RowBatch
from darec.core.sparse_layers import decode
from darec.data.ratings import Domain
from darec.models.autorec import INIT_STD

Init = Literal["paper", "xavier"]


class RatingPredictor(nn.Module):
    """Three layers; the last has one output for each column of the rating matrix (Fig. 1)."""

    def __init__(self, n_columns: int, width: int, pyramid: float, backend: Backend) -> None:
        super().__init__()
        middle, last = max(1, round(width * pyramid)), max(1, round(width * pyramid**2))
        self.hidden = nn.Sequential(
            nn.Linear(width, middle), nn.ReLU(), nn.Linear(middle, last), nn.ReLU()
        )
        self.weight_MP = nn.Parameter(torch.empty(n_columns, last))
        self.bias_M = nn.Parameter(torch.empty(n_columns))
        self._backend = backend

    def forward(self, features_BH: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        """Return the predictions of the batch's observed ratings, [n]."""
        hidden_BP = self.hidden(features_BH)
        return decode(hidden_BP, self.weight_MP, self.bias_M, batch, self._backend)


class DANN(nn.Module):
    """A shared extractor, a domain classifier and a rating predictor for each domain (Fig. 1).

    With ``n_source=None`` the target's predictor serves both domains, which have the same columns.
    With ``is_residual`` the predictors predict 0 for an embedding of 0, because the biases of the
    extractor and of the predictors stay 0.
    """

    def __init__(
        self,
        embedding: int,
        width: int,
        pyramid: float,
        n_source: int | None,
        n_target: int,
        backend: Backend,
        is_residual: bool,
    ) -> None:
        super().__init__()
        self.is_residual = is_residual
        self.extractor = nn.Sequential(nn.Linear(embedding, width), nn.ReLU())
        self.classifier = nn.Sequential(
            nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1), nn.Flatten(0)
        )
        self.source: RatingPredictor | None = None
        if n_source is not None:
            self.source = RatingPredictor(n_source, width, pyramid, backend)
        self.target = RatingPredictor(n_target, width, pyramid, backend)
        if is_residual:
            for part in (self.extractor, *self.predictors()):
                for parameter in part.parameters():
                    parameter.requires_grad_(parameter.dim() > 1)

    def predictor(self, domain: Domain) -> RatingPredictor:
        """Return the rating predictor of a domain."""
        return self.source if domain == "source" and self.source is not None else self.target

    def predictors(self) -> list[RatingPredictor]:
        """Return the rating predictors, the source's first where it has one."""
        return [self.target] if self.source is None else [self.source, self.target]

    def initialise(self, init: Init, generator: torch.Generator) -> None:
        """Draw all weights and set the biases to 0 (section 4.1); residual heads start at 0."""
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.zeros_(parameter)
            elif init == "paper":
                nn.init.normal_(parameter, std=INIT_STD, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter, generator=generator)
        if self.is_residual:
            for predictor in self.predictors():
                nn.init.zeros_(predictor.weight_MP)
