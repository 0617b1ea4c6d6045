"""Terms of Eq. 2, 3 and 7, which are sums over the rows of a mini-batch as the paper writes them.

Shapes: n observed ratings of the batch.
"""

from collections.abc import Iterable

import torch


def squared_error(
    predicted_n: torch.Tensor, observed_n: torch.Tensor, weight_n: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the sum of squared errors over observed ratings (first terms of Eq. 2 and 3)."""
    errors_n = predicted_n - observed_n
    return errors_n @ (errors_n if weight_n is None else errors_n * weight_n)


def squared_norm(parameters: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return R, the sum of squares of all weights and biases (last terms of Eq. 2 and 3)."""
    return torch.stack([torch.linalg.vector_norm(p.detach()) for p in parameters]).square().sum()
