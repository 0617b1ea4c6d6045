"""What the user asked a search for: a model, data, search spaces and a budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from optuna.distributions import BaseDistribution

from darec.core.config import parse
from darec.core.objective import Metric
from darec.data.holdout import ColdPercent, Holdout, SplitKind, TrainPercent
from darec.data.split import SearchData
from darec.errors import UserError
from darec.models import ModelKind
from darec.models.best import Count
from darec.tuning.trial.names import nest

Stages = Literal["paper", "joint"]
"""``paper``: a two-stage model's first stage is searched by itself and frozen. ``joint``: both
stages are searched together."""


@dataclass(frozen=True)
class Budget:
    """How much each study of a search may spend."""

    trials: Count
    stage1_trials: Count
    max_epochs: Count
    time_budget: float | None
    """Seconds for all studies together; None: no limit."""


class Ranges(Protocol):
    """What is drawn and what is held fixed, under flat names."""

    @property
    def space(self) -> Mapping[str, BaseDistribution]:
        """The distributions that are drawn from."""

    @property
    def fixed(self) -> Mapping[str, Any]:
        """The values that are held fixed."""

    @property
    def start(self) -> Mapping[str, Any]:
        """A good guess for everything that is drawn; empty: there is none."""


class SearchSpace(Ranges, Protocol):
    """A search space that can be narrowed (`search_spaces.Space`)."""

    @property
    def portfolio(self) -> Sequence[Mapping[str, Any]]:
        """Good values for the trials after the first."""

    def fix(self, values: Mapping[str, Any]) -> Self:
        """Return the space with these hyper-parameters held fixed."""

    def narrow(self, ends: Mapping[str, float]) -> Self:
        """Return the space with ranges of numbers that end here at the latest."""


@dataclass(frozen=True)
class Request:
    """A whole search: one model on one split of one pair."""

    model: str
    kind: ModelKind
    pair: str
    train: TrainPercent
    seed: int
    data: SearchData
    data_digest: str
    space: SearchSpace
    stage1: SearchSpace | None
    """The space of the first-stage studies; None for one-stage models and joint searches."""
    budget: Budget
    sampler: str
    """A name in `darec.tuning.study.algorithms.SAMPLERS`."""
    scheduler: str
    """A name in `darec.tuning.study.algorithms.SCHEDULERS`."""
    folder: Path
    """Where the plain result files are written."""
    storage: str
    """The same folder, or the URI that the files are copied to."""
    stages: Stages = "paper"
    fix: Mapping[str, Any] = field(default_factory=dict)
    """The hyper-parameters that the user held fixed."""
    paper: bool = False
    """Whether the model is searched as the paper prints it."""
    split: SplitKind = "random"
    """How the warm task divides the ratings."""
    stop_when_flat: bool = False
    """Whether studies end when more trials are not worth it (`darec.tuning.study.flat`)."""
    metric: Metric = "rmse"
    """What all studies select by."""
    rejudge: int = 0
    """How many configurations are judged again (`darec.tuning.study.rejudge`)."""
    reproducible: bool = False
    """Whether the outcome must not depend on timing."""
    lag: Count | None = None
    """The sampler draws trial n from the outcomes of trials 0 to n - lag
    (`darec.tuning.study.in_order`). None: the search is not reproducible,
    or its lag is not known yet."""
    narrowed: Mapping[str, float] = field(default_factory=dict)
    """Where ranges end early: sizes so that trials fit, others so that decay does not diverge."""
    winners: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Configs of earlier winners by model, under flat names: trials that are run first."""

    @property
    def cold_users(self) -> ColdPercent | None:
        """Percent of the users who are test users of the cold-user task; None: the warm task."""
        return self.data.cold_users

    @property
    def holdout(self) -> Holdout:
        """What is held out."""
        return Holdout(self.train, self.cold_users, self.split)

    @property
    def stage1_data(self) -> SearchData:
        """What the target's first-stage study may see (`SearchData.of_stage1`)."""
        return self.data.of_stage1(self.seed)


def middle_trial(request: Request) -> dict[str, Any]:
    """Return the middle of the space as a nested config whose first stage is not trained."""
    return whole_config(request.kind, request.space, request.stage1, middle, epochs=0)


def largest_trial(request: Request, epochs: int) -> dict[str, Any]:
    """Return the largest configuration, nested, whose first stage is trained for some epochs.

    It takes more memory than any trial of a first-stage study, and as much as the trial that trains
    the first stage for all others.
    """
    return whole_config(request.kind, request.space, request.stage1, largest, epochs)


def largest_config(request: Request) -> Any:
    """Return the config of the largest trial, whose first stage is not trained.

    Raises `UserError` when a hyper-parameter that is held fixed breaks a rule of the model.
    """
    return checked_config(request.kind, largest_trial(request, epochs=0))


def n_weights(request: Request) -> int:
    """Return an upper bound of a trial's number of weights; raises as `largest_config` does."""
    return request.kind.n_weights(largest_config(request), request.data.training)


def checked_config(kind: ModelKind, values: dict[str, Any]) -> Any:
    """Return a config from nested values; raises `UserError` for one that breaks a rule."""
    try:
        return parse(kind.config, values)
    except ValueError as error:
        raise UserError(f"--fix: {error}") from error


def whole_config(
    kind: ModelKind,
    space: SearchSpace,
    stage1: SearchSpace | None,
    pick: Callable[[SearchSpace], dict[str, Any]],
    epochs: int | None = None,
) -> dict[str, Any]:
    """Return a nested config of both stages, each picked from its space (`middle`, `largest`).

    ``epochs``: how long the first stage is trained, if not as long as its space says.
    """
    values, first = pick(space), kind.stage1
    if first is not None:
        config = values.get(first.field, {}) if stage1 is None else pick(stage1)
        values[first.field] = config if epochs is None else {**config, first.epochs: epochs}
    return values


def middle(space: SearchSpace) -> dict[str, Any]:
    """Return the (geometric) middle of every range and the middle choice of every category."""
    drawn = {name: _middle(distribution) for name, distribution in space.space.items()}
    return nest({**drawn, **space.fixed})


def largest(space: SearchSpace) -> dict[str, Any]:
    """Return the largest sizes, with the smallest rates and penalties for stable training."""
    drawn = {name: _largest(distribution) for name, distribution in space.space.items()}
    return nest({**drawn, **space.fixed})


def _middle(distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return distribution.choices[len(distribution.choices) // 2]
    low, high = distribution.low, distribution.high
    center = (low * high) ** 0.5 if distribution.log else (low + high) / 2
    return type(low)(center)


def _largest(distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        numbers = [choice for choice in distribution.choices if isinstance(choice, int | float)]
        return max(numbers, default=distribution.choices[0])
    return distribution.low if isinstance(distribution.high, float) else distribution.high
