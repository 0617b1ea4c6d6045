"""Scores on disk: one line of JSON per seed and cold policy, added to and never rewritten."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from darec import files
from darec.core.recommender import ColdPolicy
from darec.data.split import TrainPercent
from darec.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One trained model's errors in stars on one split's test ratings, under one cold policy."""

    model: str
    pair: str
    train: TrainPercent
    cold: ColdPolicy
    split_seed: int
    run_seed: int
    searched_split: bool
    """Whether the search used this split, whose validation ratings then chose the configuration."""
    refit: bool
    """Whether the model was trained on training and validation ratings, for ``epoch`` epochs."""
    valid_rmse: float
    """Lowest RMSE on the split's validation ratings, ``cold=fallback``; it chose ``epoch``."""
    test_rmse: float
    test_mae: float
    warm_rmse: float | None
    """RMSE on test ratings whose user and item have training ratings; None if there are none."""
    cold_share: float
    """Share of test ratings whose user or item has no training rating."""
    n_test: int
    rmse_source: float | None
    """RMSE on the source's own test ratings; None for models that predict the target only."""
    rmse_both: float | None
    """sqrt(test_rmse^2 + rmse_source^2), which the authors' released code prints."""
    stage1_rmse: float | None
    """RMSE of a two-stage model's own stage 1 on the same test ratings."""
    bias_rmse: float
    """RMSE of the regularised bias baseline on the same test ratings, under the same policy."""
    mean_rmse: float
    """RMSE of the training mean on the same test ratings, under the same policy."""
    beats_bias: bool
    epoch: int
    max_epochs: int
    """Epoch budget of a trial in the search, and of this run."""
    trials: int
    """Number of trials of the search."""
    config: dict[str, Any]
    data_digest: str
    revision: str
    versions: dict[str, str]

    @property
    def key(self) -> tuple[Any, ...]:
        """Identifies the measurement: a score whose key is on disk is not computed again."""
        return (*run_key(self.data_digest, self.model, self.config, asdict(self)), self.cold)


def run_key(
    data_digest: str, model: str, config: dict[str, Any], values: dict[str, Any]
) -> tuple[Any, ...]:
    """Return the key of a run: data, model, config, split, seeds, refit and epoch budget."""
    text = json.dumps(config, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    names = ("train", "split_seed", "run_seed", "refit", "max_epochs")
    return (data_digest, model, digest, *(values[name] for name in names))


def append(path: Path, scores: Sequence[Any]) -> None:
    """Append the scores of one run, all of one dataclass, in one write, and flush it to disk."""
    files.append(path, "".join(json.dumps(asdict(s), allow_nan=False) + "\n" for s in scores))


def read(path: Path, kind: type[T]) -> list[T]:
    """Return all scores in a file, all of one dataclass; none if the file is absent.

    Half a line that an interrupted write left is skipped: its scores are missing, so that they are
    computed again.
    Raises `UserError` with the line number for JSON that is not a score of this version.
    """
    if not path.is_file():
        return []
    known = {field.name for field in fields(cast(Any, kind))}
    scores = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(values, dict) or set(values) != known:
            differs = sorted(known.symmetric_difference(values))[:3]
            raise UserError(
                f"{path}, line {number}: not a score of this version; fields that differ: {differs}"
            )
        scores.append(kind(**values))
    return scores
