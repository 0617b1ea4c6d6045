"""Gradient reversal: identity forward, times -mu backward (Eq. 5)."""

from typing import Any

import torch


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, mu: float) -> torch.Tensor:
        ctx.mu = mu
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] * -ctx.mu, None


def reverse_gradient(features: torch.Tensor, mu: float) -> torch.Tensor:
    """Return the features unchanged; their gradient arrives multiplied by -mu (Eq. 5)."""
    # torch leaves `apply` of a Function without annotations
    # torch gives Function.apply no types
    reversed_: torch.Tensor = _Reversal.apply(features, mu)  # type: ignore[no-untyped-call]
    return reversed_
