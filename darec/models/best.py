"""The winner of a search, and the files from which it is read again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from darec.core.config import parse
from darec.data.split import TrainPercent
from darec.errors import UserError
from darec.files import write_json
from darec.models import kind_of


@dataclass(frozen=True)
class Best:
    """The epoch with the lowest validation RMSE of all trials, and how to train it again."""

    model: str
    pair: str
    train: TrainPercent
    config: dict[str, Any]
    """The full config, nested, as `darec.core.config.parse` reads it."""
    epoch: int
    """The epoch with the lowest validation RMSE. Evaluation chooses its epoch by the same rule."""
    max_epochs: int
    """The search's epoch budget per trial."""
    valid_rmse: float
    seed: int
    """The root seed of the search, its split and its runs."""
    trials: int
    trial_id: str
    bias_valid_rmse: float
    """RMSE of the untuned bias baseline on the same validation ratings."""
    stage1_valid_rmse: float | None
    """Validation RMSE of stage 1 alone on the target; None for one-stage models."""
    data_digest: str
    """`DomainPair.digest` of the data searched on."""

    def save(self, folder: Path) -> Path:
        """Write ``best.json`` and return its path."""
        write_json(folder / "best.json", asdict(self))
        return folder / "best.json"


def load_best(folder: Path, place: str | None = None) -> Best:
    """Read ``best.json``; raises `UserError` naming the file when it is absent or malformed.

    ``place`` is how the user names the folder, if that is another: its URI.
    """
    path, named = folder / "best.json", f"{place or folder}/best.json"
    if not path.is_file():
        raise UserError(f"{named}: no finished search here; run one first (darec tune)")
    try:
        values = json.loads(path.read_text())
        best = Best(**values)
        parse(kind_of(best.model).config, best.config)
    except (ValueError, TypeError) as error:
        raise UserError(f"{named}: not a best.json of this version: {error}") from error
    return best


def load_study(folder: Path) -> dict[str, Any]:
    """Read ``study.json``, which records the options and spaces of a search.

    Raises `UserError` when it is damaged or of another version.
    """
    path = folder / "study.json"
    try:
        study: dict[str, Any] = json.loads(path.read_text())
        known = {
            "arguments",
            "budget",
            "fix",
            "seed",
            "sampler",
            "scheduler",
            "space",
            "stage1",
            "stages",
        }
        if lacking := known - study.keys():
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a study.json of this version: {error}") from error
    return study


def study_folder(out: Path, pair: str, train: TrainPercent, model: str) -> Path:
    """Return ``<out>/<pair>-<train>/<model>``, where a study keeps all of its files."""
    return out / f"{pair}-{train}" / model
