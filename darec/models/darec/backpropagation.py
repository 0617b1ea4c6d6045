"""Forward and backward passes of small dense layers without autograd.

On a CPU, autograd's cost per call is more than the arithmetic of such layers.

Shapes: D rows, X units before the layers, Y units after them.
"""

import torch
from torch import nn

RELU_SLOPE = torch.ops.aten.threshold_backward


def outputs(layers: nn.Sequential, input_DX: torch.Tensor) -> list[torch.Tensor]:
    """Return the input of the first layer, followed by the output of each layer."""
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
    """Set the gradients of the layers, and return the slope in their input [D, X].

    Frozen biases get none. ``kept`` is the result of `outputs`, and ``slope`` the slope in the last
    of them. Layers may be linear or ReLU, or only reshape. Without ``to_input`` the pass ends at
    the first layer's output.
    """
    slope = slope_DY
    for i, layer in reversed([*enumerate(layers)]):
        before, after = kept[i], kept[i + 1]
        if isinstance(layer, nn.Linear):
            assert layer.weight.grad is not None
            torch.mm(slope.T, before, out=layer.weight.grad)
            if layer.bias.grad is not None:
                torch.sum(slope, 0, out=layer.bias.grad)
            if i > 0 or to_input:
                slope = slope @ layer.weight
        elif isinstance(layer, nn.ReLU):
            slope = RELU_SLOPE(slope, after, 0)
        else:
            slope = slope.view(before.shape)
    return slope
