"""The score of a trained model on test ratings."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from darec.core.cold import COLD, ColdPolicy
from darec.core.objective import Metric
from darec.data.folds import Fold
from darec.data.holdout import ColdPercent, Holdout, SplitKind, TrainPercent
from darec.data.scale import Scale, in_words
from darec.evaluation.origin import Origin
from darec.evaluation.ranking import Rankings
from darec.models.best import Best

Error = Annotated[float, Field(ge=0)]
"""An error in the units of a domain's scale."""
Count = Annotated[int, Field(ge=1)]
ERRORS = (
    *("valid_rmse", "test_rmse", "test_mae", "warm_rmse", "rmse_source", "shuffled_rmse"),
    *("stage1_rmse", "bias_rmse", "hierarchical_rmse", "mean_rmse"),
)
"""Errors, none of which can exceed the range of its scale."""
ROUNDING = 1 + 1e-6
"""How much larger than the range an error may be by the rounding of 32 bits."""


@dataclass(frozen=True)
class Score:
    """One trained model's errors on one split's test ratings, under one cold policy.

    They are in the units of the target's scale. Predictions are clipped to the scale, so no error
    is larger than its range. Raises ``ValueError`` for figures that contradict each other.
    """

    model: str
    pair: str
    train: TrainPercent
    cold_users: ColdPercent | None
    """Percent of the users who are test users of the cold-user task; None: the warm task."""
    scale: Scale
    """The scale of the target's ratings."""
    source_scale: Scale
    split: SplitKind
    """How the search divided the ratings of the warm task."""
    fold: Count | None
    """The fold of a cross-validation that was tested on; None: a split like the search's was."""
    folds: Count | None
    """How many folds there are."""
    cold: ColdPolicy
    split_seed: int
    run_seed: int
    searched_split: bool
    """Whether the search used this split, whose validation ratings then chose the configuration."""
    refit: bool
    """Whether the model was trained on training and validation ratings, for ``epoch`` epochs."""
    valid_rmse: Error
    """RMSE on the split's validation ratings after ``epoch`` epochs, ``cold=hierarchical``."""
    test_rmse: Error
    test_mae: Error
    warm_rmse: Error | None
    """RMSE on test ratings that the cold policy does not predict; None if there are none."""
    cold_share: Annotated[float, Field(ge=0, le=1)]
    """Share of test ratings that the cold policy predicts, because their item or their user has no
    training rating in the target. In the cold-user task such a user has no source rating either."""
    n_test: Count
    rmse_source: Error | None
    """RMSE on the source's own test ratings, in the units of its own scale; None for models that
    predict the target only."""
    rmse_both: Error | None
    """sqrt(test_rmse^2 + rmse_source^2), which the authors' released code prints; None also where
    the domains' scales differ."""
    shuffled_rmse: Error | None
    """RMSE of the same configuration trained with a source whose users are shuffled, which says
    nothing about a cold user; None in the warm task."""
    stage1_rmse: Error | None
    """RMSE of a two-stage model's own stage 1 on the same test ratings."""
    bias_rmse: Error
    """RMSE of the regularised bias baseline on the same test ratings, under the same policy."""
    hierarchical_rmse: Error
    """RMSE of the hierarchical biases on the same test ratings, under the same policy."""
    mean_rmse: Error
    """RMSE of the training mean on the same test ratings, under the same policy."""
    beats_bias: bool
    beats_hierarchical: bool
    ranking: Rankings | None
    """Figures of lists of recommendations, with cold items and users as in ``cold=hierarchical``.
    None under the other policies, or if no test rating is high enough."""
    epoch: Count
    max_epochs: Count
    """Epoch budget of a trial in the search, and of this run."""
    trials: Count
    """Number of trials of the search."""
    config: dict[str, Any]
    data_digest: str
    origin: Origin
    metric: Metric = "rmse"
    """What the search, and this run's ``epoch``, were selected by, on validation ratings."""

    def __post_init__(self) -> None:
        self._check_ranges()
        for name in ("bias", "hierarchical"):
            if getattr(self, f"beats_{name}") != (self.test_rmse < getattr(self, f"{name}_rmse")):
                raise ValueError(f"beats_{name} must be whether test_rmse is below {name}_rmse")
        if self.epoch > self.max_epochs:
            rule = f"must be at most max_epochs {self.max_epochs}"
            raise ValueError(f"epoch {rule}, but got {self.epoch}")
        if (self.fold is None) != (self.folds is None):
            raise ValueError("fold and folds must both be null, or neither")
        if self.cold != COLD and self.ranking is not None:
            raise ValueError(f"ranking must be null under cold={self.cold}: lists are of {COLD}")
        if (self.shuffled_rmse is None) != (self.cold_users is None):
            raise ValueError("shuffled_rmse must be null in the warm task, and only there")
        if (self.warm_rmse is None) != (self.cold_share == 1):
            raise ValueError("warm_rmse must be null if all test ratings are cold, and only then")

    def _check_ranges(self) -> None:
        """Raise ``ValueError`` for an error that is larger than the range of its scale."""
        for name in ERRORS:
            value, scale = getattr(self, name), self.scale
            if name == "rmse_source":
                scale = self.source_scale
            if value is not None and value > scale.range * ROUNDING:
                rule = f"must be at most {scale.range:g}, the range of the scale"
                raise ValueError(f"{name} {rule}, but got {value}")

    @property
    def scales(self) -> str:
        """What a heading adds of the scales; nothing if both are from 1 to 5 stars."""
        return in_words(self.scale, self.source_scale)

    @property
    def test_rmse_by_range(self) -> float | None:
        """The test RMSE as a share of the scale's range; None on the scale from 1 to 5."""
        return self.scale.share(self.test_rmse)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Identifies the measurement: two scores with equal keys measure the same."""
        fold = None
        if self.fold is not None and self.folds is not None:
            fold = Fold(self.fold, self.folds)
        return (*run_key(self, self.split_seed, self.run_seed, self.refit, fold), self.cold)

    @property
    def holdout(self) -> Holdout:
        """What the search held out."""
        return Holdout(self.train, self.cold_users, self.split)

    @property
    def tested_in_words(self) -> str:
        """What the heading of a table says of the ratings that were tested on."""
        searched = self.holdout.in_words
        return searched if self.folds is None else f"searched on {searched}, cross-validated"


def run_key(
    run: Best | Score, split_seed: int, run_seed: int, refit: bool, fold: Fold | None = None
) -> tuple[Any, ...]:
    """Return the key of a run: data, model, config, split, seeds, refit, epoch budget, metric."""
    config = json.dumps(run.config, sort_keys=True)
    seeds = split_seed, run_seed
    tested = run.train, run.cold_users, run.split, fold
    return run.data_digest, run.model, config, *tested, *seeds, refit, run.max_epochs, run.metric
