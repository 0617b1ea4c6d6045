"""The terms of Eq. 2, 3 and 7: sums over the rows of a mini-batch, as the equations are written.

Shapes: N observed ratings of the batch, B rows.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F

SOURCE, TARGET = 0.0, 1.0
"""Domain labels of section 3."""


def squared_error(
    predicted_N: torch.Tensor, observed_N: torch.Tensor, weight_N: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the sum of squared errors over observed ratings (first terms of Eq. 2 and 3)."""
    errors_N = predicted_N - observed_N
    return errors_N @ (errors_N if weight_N is None else errors_N * weight_N)


def domain_loss(
    logit_B: torch.Tensor, label_B: torch.Tensor, weight_B: torch.Tensor
) -> torch.Tensor:
    """Return the sum of the domain classifier's binary cross-entropies (Eq. 3)."""
    return F.binary_cross_entropy_with_logits(logit_B, label_B, weight_B, reduction="sum")


def squared_norm(parameters: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return R, the sum of squares of all weights and biases (last terms of Eq. 2 and 3)."""
    return torch.stack([torch.linalg.vector_norm(p.detach()) for p in parameters]).square().sum()
