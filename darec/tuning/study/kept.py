"""A finished study's best few trials, which a stack may take as members.

``kept.json`` has their configs. The winner's weights are in ``best.safetensors``, those of the
others in ``weights/<trial id>.safetensors``.
Shapes: N validation ratings of the target.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load_file

from darec.core.config import STRICT, parse, plain
from darec.core.recommender import Weights
from darec.errors import UserError
from darec.files import write_json
from darec.models.best import REMEDY, Best, Count, Rmse
from darec.parsing import read_json
from darec.tuning.durability.retention import kept_of
from darec.tuning.study.results import KEPT_TRIALS, kept_weights, write_weights
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.names import nest


@dataclass(frozen=True, config=STRICT)
class KeptTrial:
    """A trial whose weights are kept."""

    trial_id: str
    config: dict[str, Any]
    """The full config, nested."""
    epoch: Count
    valid_rmse: Rmse


@dataclass(frozen=True, config=STRICT)
class KeptTrials:
    """The content of ``kept.json``: best first, which is the winner."""

    trials: list[KeptTrial]


def save_kept(study: Study, rows: list[TrialRow], settings: Settings) -> None:
    """Write ``kept.json``, and the weights of all kept trials except the winner.

    `kept_of` decides which trials are kept.
    """
    able = [row for row in rows if row.best_epoch > 0]
    configs = [parse(study.kind.config, nest(row.config)) for row in able]
    kept = kept_of([getattr(config, study.kind.variant or "", None) for config in configs])
    for row in (able[n] for n in kept[1:]):
        write_weights(study, row, settings, kept_weights(study.folder, row.trial_id))
    trials = [
        KeptTrial(row.trial_id, plain(config), row.best_epoch, row.best_valid_rmse)
        for row, config in ((able[n], configs[n]) for n in kept)
    ]
    write_json(study.folder / KEPT_TRIALS, asdict(KeptTrials(trials)))


def read_kept(folder: Path, best: Best, place: str) -> list[KeptTrial]:
    """Return a finished study's kept trials; ``place`` is its folder as the user names it.

    Raises `UserError` if the file is damaged or of another study, or an earlier version searched.
    """
    named = f"{place}/{KEPT_TRIALS}"
    if not (folder / KEPT_TRIALS).is_file():
        message = "an earlier version searched, which kept no trials for a stack"
        raise UserError(f"{named}: {message}; search again with another --out")
    trials = read_json(folder / KEPT_TRIALS, KeptTrials, named, REMEDY).trials
    if not trials or trials[0].trial_id != best.trial_id:
        raise UserError(f"{named}: must begin with trial {best.trial_id} of best.json; {REMEDY}")
    return trials


def read_weights(folder: Path, best: Best, trial_id: str, place: str) -> Weights:
    """Return a kept trial's weights; raises `UserError` if their file cannot be read."""
    own = folder / "best.safetensors" if trial_id == best.trial_id else None
    path = own or kept_weights(folder, trial_id)
    try:
        weights: Weights = load_file(path)
    except (OSError, SafetensorError) as error:
        named = f"{place}/{path.relative_to(folder)}"
        raise UserError(f"{named}: cannot be read: {error}; {REMEDY}") from error
    return weights
