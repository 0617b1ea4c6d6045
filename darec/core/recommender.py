"""What every model can do, how it is run, and how cold items and users are predicted."""

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


class ColdRule:
    """The only place that decides the prediction of a cold item or a cold user.

    A cold item has no training ratings. It gets the regularised bias prediction under ``fallback``
    and the lowest rating under ``floor``. A cold user has no training ratings and gets the bias
    prediction (docs/paper.md, the cold policy).
    """

    def __init__(self, training: Ratings, answered: BoolArray | None = None) -> None:
        """``answered`` marks users whom the model predicts though they have no training ratings."""
        self.bias = Bias.fit(training)
        self._cold_user = training.user_counts == 0
        if answered is not None:
            self._cold_user &= ~answered
        self._cold_item = training.item_counts == 0

    def is_cold(self, users: IntArray, items: IntArray) -> BoolArray:
        """Return bool[N]: whether the item or the user of each pair has no training ratings."""
        cold: BoolArray = self._cold_user[users] | self._cold_item[items]
        return cold

    def apply(
        self, raw: FloatArray, users: IntArray, items: IntArray, policy: ColdPolicy = "fallback"
    ) -> FloatArray:
        """Return predictions f32[N] with those of cold pairs replaced, clipped to [1, 5]."""
        final = self.unclipped(raw, users, items)
        if policy == "floor":
            final = np.where(self._cold_item[items], np.float32(LOWEST), final)
        return clip(final)

    def unclipped(self, raw: FloatArray, users: IntArray, items: IntArray) -> FloatArray:
        """Return predictions f32[N] with those of cold pairs replaced by the bias prediction.

        Lists are ranked by them: clipped, many would be equal. With users [B, 1] and items [I] the
        predictions are f32[B, I].
        """
        return np.where(self.is_cold(users, items), self.bias.predict(users, items), raw)

    def rmse(self, raw: FloatArray, held_out: Ratings, policy: ColdPolicy = "fallback") -> float:
        """Return the RMSE of a model's predictions f32[N] of held-out ratings, after `apply`."""
        final = self.apply(raw, held_out.users, held_out.items, policy)
        return rmse(final, held_out.values)
