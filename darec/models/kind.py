"""What the rest of darec knows of a model: its config, its constructor and how it is trained."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from darec.core.recommender import MayReadSource, Recommender, Run
from darec.data.ratings import Axis
from darec.data.split import Training


def no_weights(config: Any, training: Training) -> int:
    """Return 0: what a small model holds does not matter for memory or disk."""
    return 0


@dataclass(frozen=True)
class FirstStage:
    """The first stage of a two-stage model: it is searched by itself, then frozen (section 4.1).

    It is searched on the target first. The source's search then keeps the ``shared``
    hyper-parameters of the target's winner.
    """

    model: str
    """The name of the first stage's model."""
    field: str = "autorec"
    """The field of the second stage's config that holds the target's first-stage config."""
    source_field: str = "autorec_source"
    """The field that holds the source's first-stage config."""
    shared: tuple[str, ...] = ("hidden", "center", "activation")
    """Hyper-parameters that must be equal in both domains."""
    epochs: str = "epochs"
    """The hyper-parameter that says how long a first stage is trained: its best epoch."""


@dataclass(frozen=True)
class ModelKind:
    """A model: the dataclass of its hyper-parameters and its only constructor.

    Example::

        ModelKind(config=MyConfig, build=build_my_model)
    """

    config: type[Any]
    """The frozen dataclass of its hyper-parameters."""
    build: Callable[[Any, Training, Run], Recommender]
    """Builds a model from a config, the training ratings and a `Run` (seed, device, cache)."""
    n_weights: Callable[[Any, Training], int] = no_weights
    """Returns an upper bound of the number of weights, to estimate memory and disk space."""
    n_temporary: Callable[[Any, Training], int] = no_weights
    """Returns how many float32 numbers a training step allocates at most, besides weights,
    gradients and moments; 0 if they are fewer than the weights."""
    axis: Axis | None = None
    """Whether the rating rows of the model are users or items; None if it has no rating rows."""
    stage1: FirstStage | None = None
    """The first stage of a two-stage model; None for all others."""
    whole_fit: bool = False
    """Whether one epoch is a whole fit, as in libraries that do not report epochs."""
    cpu_only: bool = False
    """Whether the model never uses a GPU."""
    levels: bool = False
    """Whether the model has weights for each distinct rating, which must be few (`MOST_LEVELS`)."""
    variant: str | None = None
    """The hyper-parameter whose values are different models in effect, if there is one. A study
    keeps the best trial of each value for a stack."""
    cold_users: bool = False
    """Whether the model takes part in the cold-user task: it predicts users without target ratings
    by what it knows of the items and, if it learns anything from the source, of the users."""


def outside_packages(kind: ModelKind) -> set[str]:
    """Return the packages, or single modules, outside darec that define the parts of a model."""
    found = set()
    for part in (kind.config, kind.build, kind.n_weights, kind.n_temporary):
        while isinstance(part, partial):
            part = part.func
        module = inspect.getmodule(part)
        found.add(module.__name__.partition(".")[0] if module else "darec")
    return found - {"builtins", "darec"}


def reads_source(kind: ModelKind, model: Recommender) -> bool:
    """Return whether a model learns something about a user from source ratings."""
    if isinstance(model, MayReadSource):
        return model.reads_source
    return kind.cold_users or "source" in model.domains
