"""Scores: one line of JSON per seed and cold policy, append-only, resumed by key."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from darec.core.recommender import ColdPolicy
from darec.data.split import TrainPercent
from darec.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """One trained model's errors on one split's test ratings, in rating points."""

    model: str
    pair: str
    train: TrainPercent
    cold: ColdPolicy
    split_seed: int
    run_seed: int
    searched_split: bool
    """The split whose validation ratings chose the configuration."""
    refit: bool
    """Trained again on training + validation ratings, for ``epoch`` epochs."""
    valid_rmse: float
    """On this split's own validation ratings, ``cold=fallback``; it chose ``epoch``."""
    test_rmse: float
    test_mae: float
    warm_rmse: float | None
    """Over test ratings whose user and item both have training ratings; None without any."""
    cold_share: float
    """Share of test ratings whose item or user has no training rating."""
    n_test: int
    rmse_source: float | None
    """The source's own test ratings; None for single-domain models."""
    rmse_both: float | None
    """sqrt(target^2 + source^2), as the authors' released code combines them."""
    stage1_rmse: float | None
    """A two-stage model's own stage 1 on the same test ratings."""
    bias_rmse: float
    """The regularised bias baseline on the same test ratings, same cold policy."""
    mean_rmse: float
    """The training mean on the same test ratings, same cold policy."""
    beats_bias: bool
    epoch: int
    max_epochs: int
    """The search's epoch budget, evaluation's, too."""
    trials: int
    config: dict[str, Any]
    data_digest: str
    revision: str
    versions: dict[str, str]

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes a score the same measurement: repeated keys are not measured again."""
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
    """Append a run's scores, of one dataclass, in one write, flushed to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(asdict(score), allow_nan=False) + "\n" for score in scores)
    with path.open("a") as file:
        if file.tell() and path.read_bytes()[-1:] != b"\n":
            text = "\n" + text  # a torn last line stays alone
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, kind: type[T]) -> list[T]:
    """Read all scores of a kind; a torn line (an interrupted write) is skipped, it comes again.

    Raises `UserError` naming the line for JSON that is no score of this version.
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
            raise UserError(f"{path}, line {number}: not a score of this version: {differs}")
        scores.append(kind(**values))
    return scores
