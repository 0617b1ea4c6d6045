"""What a model is: it trains one epoch at a time and predicts the ratings asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from darec.core.bias import Bias
from darec.core.metrics import clip, rmse
from darec.data.ratings import LOWEST, Domain, FloatArray, IntArray, Ratings

ColdPolicy = Literal["fallback", "floor"]
Weights = dict[str, torch.Tensor]
BoolArray = npt.NDArray[np.bool_]


class DivergedError(Exception):
    """A loss or a prediction is not finite: training ends (docs/paper.md, reading 11)."""


class Recommender(Protocol):
    """A model built complete from a config, training ratings and a `Run`."""

    domains: tuple[Domain, ...]
    """The domains whose ratings it predicts; ``"target"`` is always among them."""

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; return its loss parts (sums over the epoch), for the log."""

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return raw predictions f32[N] in stars, in the order asked, unclipped."""

    def weights(self) -> Weights:
        """Return the tensors that predictions depend on."""

    def load_weights(self, weights: Weights) -> None:
        """Predict from these weights (of the same config and data) from now on."""

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizer, epoch and generators: resuming equals never stopping."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same config and data."""


@runtime_checkable
class TwoStage(Recommender, Protocol):
    """A recommender on top of a trained single-domain recommender per domain (stage 1)."""

    @property
    def stage1(self) -> Mapping[Domain, Recommender]:
        """Each domain's own model; it predicts its domain as its ``"target"``."""


class Cache(Protocol):
    """Results shared by key: stage 1 is trained once and reused by all trials."""

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the value of a key, computing it on the first call; one computation per key."""


class MemoryCache:
    """A cache for one process."""

    def __init__(self) -> None:
        self._values: dict[str, Weights] = {}

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the value of a key, computing it on the first call."""
        if key not in self._values:
            self._values[key] = compute()
        return self._values[key]


@dataclass(frozen=True)
class Run:
    """How to run, where a config says what to run: seed, device, cache for stage 1."""

    seed: int = 0
    device: str = "cpu"
    cache: Cache = field(default_factory=MemoryCache)


def check_domain(domains: tuple[Domain, ...], domain: Domain) -> None:
    """Raise ``ValueError`` for a domain that a model does not predict."""
    if domain not in domains:
        raise ValueError(f"domain must be one of {domains}, but got {domain!r}")


class ColdRule:
    """The only place that decides the prediction of a cold item or a cold user.

    A cold item has no training ratings. It gets the regularised bias prediction under ``fallback``
    and the lowest rating under ``floor``. A cold user has no training ratings and gets the bias
    prediction (docs/paper.md, the cold policy).
    """

    def __init__(self, training: Ratings) -> None:
        self.bias = Bias.fit(training)
        self._cold_user = training.user_counts == 0
        self._cold_item = training.item_counts == 0

    def is_cold(self, users: IntArray, items: IntArray) -> BoolArray:
        """Return bool[N]: the item or the user has no training rating."""
        cold: BoolArray = self._cold_user[users] | self._cold_item[items]
        return cold

    def apply(
        self, raw: FloatArray, users: IntArray, items: IntArray, policy: ColdPolicy = "fallback"
    ) -> FloatArray:
        """Return final predictions f32[N] in [1, 5] from a model's raw ones."""
        final = np.where(self.is_cold(users, items), self.bias.predict(users, items), raw)
        if policy == "floor":
            final = np.where(self._cold_item[items], np.float32(LOWEST), final)
        return clip(final)

    def rmse(self, raw: FloatArray, held_out: Ratings, policy: ColdPolicy = "fallback") -> float:
        """Return the RMSE of raw predictions f32[N] of held-out ratings, made final."""
        final = self.apply(raw, held_out.users, held_out.items, policy)
        return rmse(final, held_out.values)
