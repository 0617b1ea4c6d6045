"""The state of a recommender made of a network, an optimizer and a random generator."""

from typing import Any, Protocol

import torch
from torch import nn

from darec.core.recommender import Weights


class Optimizer(Protocol):
    """An optimizer with a state: an `Adam` or `LazySGD` of darec's, or one of torch's."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the next step needs: the moments, for example."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""


class Trained:
    """Saves and loads all three parts, so that a resumed training equals an uninterrupted one."""

    def __init__(self, net: nn.Module, optimizer: Optimizer, generator: torch.Generator) -> None:
        self._parts = net, optimizer, generator

    def weights(self) -> Weights:
        """Return the tensors of the network, not copies of them."""
        return self._parts[0].state_dict()

    def load_weights(self, weights: Weights) -> None:
        """Predict from these weights from now on."""
        self._parts[0].load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and the states of the optimizer and of the generator."""
        _, optimizer, generator = self._parts
        return {
            "weights": self.weights(),
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        _, optimizer, generator = self._parts
        self.load_weights(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
