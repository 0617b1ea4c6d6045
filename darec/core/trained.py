"""The state of a recommender made of a network, an optimizer and a random generator."""

from typing import Any, Protocol

import torch
from torch import nn

from darec.core.recommender import Weights


class Optimizer(Protocol):
    """An optimizer with a state: one of darec's or of torch's."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the next step needs: the moments, for example."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""


class Optimizers:
    """Several optimizers, whose states are saved together."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self._optimizers = optimizers

    def state_dict(self) -> dict[str, Any]:
        """Return what the next step of each needs."""
        return {"optimizers": [each.state_dict() for each in self._optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; raises ``ValueError`` for one of another version."""
        saved = state.get("optimizers", [])
        if len(saved) != len(self._optimizers):
            raise ValueError("the state of the optimizer is of another version or model")
        for optimizer, own in zip(self._optimizers, saved, strict=True):
            optimizer.load_state_dict(own)


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
