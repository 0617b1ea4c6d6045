"""What one study searches, and the settings of all studies of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution

from darec.core.objective import Metric
from darec.core.recommender import Cache
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.reporter import SILENT, Reporter
from darec.tuning import storage
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.starts import Known
from darec.tuning.trial.names import Tracker


class StudyInterrupted(Exception):
    """A study was asked to stop before its end; its files allow it to be resumed."""


@dataclass(frozen=True)
class Settings:
    """How studies are run; the same for all studies of a search."""

    sampler: str
    """A name in `darec.tuning.study.algorithms.SAMPLERS`."""
    scheduler: str
    """A name in `darec.tuning.study.algorithms.SCHEDULERS`."""
    max_epochs: int
    """Epochs after which a trial ends at the latest."""
    slots: Slots
    seed: int
    """The root seed of samplers and runs."""
    cache: Cache
    """Where trials share trained first stages."""
    lag: int | None = None
    """Makes a study's outcome independent of timing (`darec.tuning.study.in_order`); None: every
    outcome counts as soon as it is known."""
    trial_limit: float = math.inf
    """Seconds of training after which a trial ends; `RecommenderTrainable` ends one that hangs."""
    reporter: Reporter = SILENT
    tracker: Tracker | None = None


@dataclass(frozen=True)
class Study:
    """What one study searches: a model on data, a space, and where its files go."""

    model: str
    """The model's name; it also selects the sampler's random stream."""
    kind: ModelKind
    data: SearchData
    space: Mapping[str, BaseDistribution]
    fixed: dict[str, Any]
    trials: int
    folder: Path
    storage: str
    """The same folder, or the URI that Tune writes to."""
    time_budget: float | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    """A good guess for everything that is drawn; empty: there is none."""
    rejudge: int = 0
    """How many of the best are judged again (`darec.tuning.study.rejudge`)."""
    stop_when_flat: bool = False
    """Whether the study ends when more trials are not worth it (`darec.tuning.study.flat`)."""
    metric: Metric = "rmse"
    """What decides the best epoch of each trial, and the best trial."""
    known: Known = field(default_factory=lambda: Known([], []))
    """Known configurations, which are tried before and after the one in ``start``."""
    to_beat: Mapping[str, float] = field(default_factory=dict)
    """The validation RMSE of the baselines, for a display; empty for another metric."""
    title: str = ""
    """Its name on a display; the model's name if empty."""
    part: tuple[int, int] = (1, 1)
    """Which of the search's studies it is, and how many there are."""

    @property
    def search_folder(self) -> Path:
        """The folder of the search; a first stage's own folder is below it."""
        return self.folder.parent if self.folder.name.startswith("stage1_") else self.folder

    @property
    def label(self) -> str:
        """What trackers call the study: the names of its pair and its model."""
        return self.folder.relative_to(self.search_folder.parents[1]).as_posix()

    @property
    def tune_folder(self) -> str:
        """Where Tune keeps its own files."""
        return storage.join(self.storage, "tune")
