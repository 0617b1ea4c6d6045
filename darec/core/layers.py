"""Small dense layers without autograd, whose calls cost a CPU more than their arithmetic.

Shapes: D rows, X and Y units before and after layers.
"""

import torch
from torch import nn

RELU_SLOPE = torch.ops.aten.threshold_backward


def outputs(layers: nn.Sequential, input_DX: torch.Tensor) -> list[torch.Tensor]:
    """Return what goes into the first layer and what comes out of each."""
    kept = [input_DX]
    for layer in layers:
        kept.append(layer(kept[-1]))
    return kept


def backward(
    layers: nn.Sequential,
    kept: list[torch.Tensor],
    slope_DY: torch.Tensor,
    *,
    to_input: bool = True,
) -> torch.Tensor:
    """Set the layers' gradients and return the slope at their input.

    ``kept`` are `outputs`; the layers are linear, ReLU or do nothing but reshape. Without
    ``to_input`` the first layer's step to its input is left out.
    """
    slope = slope_DY
    for i, layer in reversed([*enumerate(layers)]):
        before, after = kept[i], kept[i + 1]
        if isinstance(layer, nn.Linear):
            assert layer.weight.grad is not None and layer.bias.grad is not None
            torch.mm(slope.T, before, out=layer.weight.grad)
            torch.sum(slope, 0, out=layer.bias.grad)
            if i > 0 or to_input:
                slope = slope @ layer.weight
        elif isinstance(layer, nn.ReLU):
            slope = RELU_SLOPE(slope, after, 0)
        else:
            slope = slope.view(before.shape)
    return slope
