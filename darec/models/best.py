"""The winner of a study, what the study was asked for, and the file that keeps both."""

import json
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from darec.core.config import STRICT, parse
from darec.core.objective import Metric
from darec.data.holdout import ColdPercent, Holdout, SplitKind, TrainPercent
from darec.data.scale import Scale
from darec.errors import UserError
from darec.files import write_json
from darec.models import kind_of
from darec.parsing import read_json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

REMEDY = "delete that folder to search again, or give another --out"
"""What to do about a finished search that cannot be used."""
Domain = Literal["target", "source"]
Count = Annotated[int, Field(ge=1)]
Rmse = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class SpaceRecord:
    """A search space as JSON values, under flat names."""

    drawn: dict[str, Any]
    """The distributions, as Optuna writes them."""
    fixed: dict[str, Any]
    start: dict[str, Any]
    """A good guess for everything that is drawn; empty: there is none."""

    @field_validator("drawn")
    @classmethod
    def _are_distributions(cls, drawn: dict[str, Any]) -> dict[str, Any]:
        for name, values in drawn.items():
            try:
                distribution_of(values)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{name} must be a distribution of Optuna: {error}") from error
        return drawn


def distribution_of(values: Any) -> "BaseDistribution":
    """Return a distribution of Optuna that was written as JSON values."""
    from optuna.distributions import json_to_distribution  # optuna is slow to import

    return json_to_distribution(json.dumps(values))


@dataclass(frozen=True, config=STRICT)
class Asked:
    """What was asked of a search, and of each of its studies with a model and space of its own."""

    model: str
    pair: str
    train: TrainPercent
    cold_users: ColdPercent | None
    """Percent of the users who are test users of the cold-user task; None: the warm task."""
    split: SplitKind
    """How the warm task divides the ratings."""
    seed: int
    """The root seed of the search, its split and its runs."""
    data_digest: str
    """`DomainPair.digest` of the data searched on."""
    sampler: str
    scheduler: str
    space: SpaceRecord

    @property
    def holdout(self) -> Holdout:
        """What is held out."""
        return Holdout(self.train, self.cold_users, self.split)


@dataclass(frozen=True, config=STRICT)
class Identity(Asked):
    """All options of one study. Its winner is used again only where all of them are the same."""

    domain: Domain
    """The domain whose ratings the model predicts; the source is that of a first stage."""
    trials_asked: Count
    max_epochs: Count
    """The epoch budget of a trial."""
    time_budget: float | None
    """Seconds for all studies of the search together; None: no limit."""
    stop_when_flat: bool = field(default=False, kw_only=True)
    """Whether the study ended when more trials were not worth it."""
    metric: Metric = field(default="rmse", kw_only=True)
    """What decided the best epoch of each trial, and the best trial."""


@dataclass(frozen=True, config=STRICT)
class Best(Identity):
    """The best epoch of all trials by the search's metric, and how to train it again."""

    config: dict[str, Any]
    """The full config, nested, as `darec.core.config.parse` reads it."""
    epoch: Count
    """The winner's best epoch. Evaluation chooses its epoch by the same metric."""
    scale: Scale
    """The scale of the domain's ratings; all RMSEs are in its units."""
    valid_rmse: Rmse
    trials: Count
    """The trials that were run: fewer than were asked for if the time budget ended first, or the
    study was flat before."""
    trial_id: str
    bias_valid_rmse: Rmse
    """RMSE of the untuned bias baseline on the same validation ratings."""
    hierarchical_valid_rmse: Rmse
    """RMSE of the hierarchical biases on the same validation ratings."""
    stage1_valid_rmse: Rmse | None
    """Validation RMSE of stage 1 alone on the target; None for one-stage models."""
    weights_digest: str
    """SHA-256 of ``best.safetensors``."""
    code: list[str]
    """Digests of all code that ran the search until then, its first stages included. More than one
    if the code changed between two runs."""

    @model_validator(mode="after")
    def _within_what_was_asked(self) -> Self:
        for name, most in (("epoch", "max_epochs"), ("trials", "trials_asked")):
            value, limit = getattr(self, name), getattr(self, most)
            if value > limit:
                raise ValueError(f"{name} must be at most {most} {limit}, but got {value}")
        return self

    def save(self, folder: Path) -> Path:
        """Write ``best.json`` and return its path."""
        write_json(folder / "best.json", asdict(self))
        return folder / "best.json"


def read_best(folder: Path, place: str | None = None) -> Best:
    """Read ``best.json``; raises `UserError` naming the file and what is wrong with it.

    ``place`` is how the user names the folder, if that is another: its URI.
    """
    path, named = folder / "best.json", f"{place or folder}/best.json"
    if not path.exists():
        raise UserError(f"{named}: no finished search here; run one first (darec tune)")
    best = read_json(path, Best, named, REMEDY)
    try:
        parse(kind_of(best.model).config, best.config)
    except (UserError, ValueError) as error:
        raise UserError(f"{named}: {error}; {REMEDY}") from error
    return best


def study_folder(out: Path, pair: str, holdout: Holdout, model: str) -> Path:
    """Return ``<out>/<label>/<model>``, where a study keeps all of its files (`Holdout.label`)."""
    return out / holdout.label(pair) / model
