"""The models by name: add one file here and one line to `MODELS`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from darec.core.recommender import Recommender, Run
from darec.data.ratings import Axis
from darec.data.split import Training
from darec.models.autorec import AutoRecConfig, build_autorec
from darec.models.bias import BiasConfig, build_bias
from darec.models.darec import DARecConfig, build_darec


@dataclass(frozen=True)
class ModelKind:
    """A model's config class and its only constructor."""

    config: type[Any]
    build: Callable[[Any, Training, Run], Recommender]
    axis: Axis | None = None
    """The axis of an autoencoder-like model; None where there is none."""
    stage1: str | None = None
    """The name of the model that is tuned first and frozen (section 4.1), for two-stage models."""


MODELS: dict[str, ModelKind] = {
    "bias": ModelKind(BiasConfig, build_bias),
    "u_autorec": ModelKind(AutoRecConfig, build_autorec, "user"),
    "i_autorec": ModelKind(AutoRecConfig, build_autorec, "item"),
    "u_darec": ModelKind(DARecConfig, build_darec, "user", stage1="u_autorec"),
    "i_darec": ModelKind(DARecConfig, build_darec, "item", stage1="i_autorec"),
}
