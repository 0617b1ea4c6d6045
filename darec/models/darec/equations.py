"""Eq. 3-7 as the paper writes them, with sums over the rows and ratings of a mini-batch.

Eq. 3 adds up, for the source S and the target T,

    sum_S (r - r_hat)^2 + beta sum_T (r - r_hat)^2    the prediction loss,
    BCE(domain, classifier(features))                 the classifier loss,
    lambda R                                          the regulariser, which Adam takes care of.

Eq. 4-6 (users) and Eq. 7 (items) say how the extractor meets the classifier loss.

Shapes: D rows of a step, H units of the extractor.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from darec.core.losses import squared_norm
from darec.data.ratings import Domain

SOURCE, TARGET = 0.0, 1.0
"""Domain labels of section 3."""
LABEL: dict[Domain, float] = {"source": SOURCE, "target": TARGET}


class Objective(NamedTuple):
    """What a step minimises, in its three weighted terms. The regulariser is left to Adam."""

    source: torch.Tensor
    target: torch.Tensor
    domain: torch.Tensor

    @property
    def prediction_loss(self) -> torch.Tensor:
        """The squared errors of both domains, the first two terms of Eq. 3."""
        return self.source + self.target

    @property
    def total(self) -> torch.Tensor:
        """The sum that a step minimises."""
        return self.prediction_loss + self.domain


def adversarial_objective(
    error_S: torch.Tensor, error_T: torch.Tensor, classifier_loss: torch.Tensor, *, beta: float
) -> Objective:
    """Return the objective of U-DARec (Eq. 4-6).

    The classifier reads the features through `reverse_gradient`. So one descent minimises the
    classifier loss over the classifier and maximises it, with strength mu, over the extractor.
    """
    return Objective(error_S, beta * error_T, classifier_loss)


def joint_objective(
    error_S: torch.Tensor,
    error_T: torch.Tensor,
    classifier_loss: torch.Tensor,
    *,
    beta: float,
    mu: float,
) -> Objective:
    """Return the objective of I-DARec (Eq. 7): all parts minimise mu times the classifier loss."""
    return Objective(error_S, beta * error_T, mu * classifier_loss)


def classifier_loss(
    logit_D: torch.Tensor, label_D: torch.Tensor, counts_D: torch.Tensor
) -> torch.Tensor:
    """Return the sum of the domain classifier's cross-entropies (Eq. 3).

    ``counts`` is 1 for rows with a training rating and 0 for others.
    """
    return F.binary_cross_entropy_with_logits(logit_D, label_D, counts_D, reduction="sum")


def reverse_gradient(features_DH: torch.Tensor, mu: float) -> torch.Tensor:
    """Return the features unchanged; their gradient arrives multiplied by ``-mu`` (Eq. 5)."""
    # torch does not annotate Function.apply
    reversed_DH: torch.Tensor = _Reversal.apply(features_DH, mu)  # type: ignore[no-untyped-call]
    return reversed_DH


def regulariser(parameters: Iterable[torch.Tensor], lambda_: float) -> torch.Tensor:
    """Return lambda R, with R the sum of squares of all weights and biases (Eq. 3)."""
    return lambda_ * squared_norm(parameters)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, mu: float) -> torch.Tensor:
        ctx.mu = mu
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] * -ctx.mu, None
