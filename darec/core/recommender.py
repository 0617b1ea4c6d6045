"""What every model can do, and how it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch

from darec.data.ratings import Domain, FloatArray, IntArray

Weights = dict[str, torch.Tensor]


class DivergedError(Exception):
    """A loss or a prediction is not finite: training ends (docs/paper.md, reading 11)."""


class Recommender(Protocol):
    """A model, ready to train. It is built from a config, training ratings and a `Run`."""

    domains: tuple[Domain, ...]
    """The domains whose ratings it predicts. ``"target"`` is always one of them."""

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; return its losses, summed over the epoch, for the log."""

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return predictions f32[N] in stars, unclipped, in the order of the pairs asked for."""

    def weights(self) -> Weights:
        """Return the tensors that the predictions depend on."""

    def load_weights(self, weights: Weights) -> None:
        """Predict from these weights from now on. They are of the same config and data."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that training changes: a resumed training equals an uninterrupted one."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same config and data."""


@runtime_checkable
class TwoStage(Recommender, Protocol):
    """A recommender on top of one trained recommender for each domain, its stage 1."""

    @property
    def stage1(self) -> Mapping[Domain, Recommender]:
        """Each domain's own model. It predicts its own domain as its ``"target"``."""


@runtime_checkable
class MayReadSource(Protocol):
    """A recommender that tells whether it learns from a user's source ratings.

    All others do if they are of the cold-user task (`darec.models.kind.ModelKind.cold_users`), or
    predict the source as well.
    """

    @property
    def reads_source(self) -> bool:
        """Whether this recommender learns from a user's source ratings."""


class Cache(Protocol):
    """Weights by key. Trials share it, so that each stage 1 is trained once."""

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the weights of a key. Only the first call with a key computes them."""


class MemoryCache:
    """A `Cache` within one process."""

    def __init__(self) -> None:
        self._values: dict[str, Weights] = {}

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the weights of a key. Only the first call with a key computes them."""
        if key not in self._values:
            self._values[key] = compute()
        return self._values[key]


@dataclass(frozen=True)
class Run:
    """How to train a model: its root seed, its device, and the cache for its stage 1."""

    seed: int = 0
    device: str = "cpu"
    cache: Cache = field(default_factory=MemoryCache)


def check_domain(domains: tuple[Domain, ...], domain: Domain) -> None:
    """Raise ``ValueError`` for a domain that a model does not predict."""
    if domain not in domains:
        raise ValueError(f"domain must be one of {domains}, but got {domain!r}")
