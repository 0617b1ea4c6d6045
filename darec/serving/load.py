"""Read a model folder back as a model in use."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from darec.core.cold import ColdPolicy
from darec.core.config import parse
from darec.core.recommender import Run
from darec.errors import UserError
from darec.models import kind_of
from darec.seeds import derive
from darec.serving.folder import (
    CARD,
    DAMAGED,
    FILES,
    REMEDY,
    StoredStages,
    check_counts,
    read,
    read_card,
)
from darec.serving.format1 import of_format1
from darec.serving.model import LoadedModel
from darec.serving.scorer import Cold, Scorer
from darec.tuning import storage


def load(path: str | Path, cold: Cold | None = None) -> LoadedModel:
    """Return the model in a folder that a search, or `darec.fit`, has written.

    Args:
        path: The folder or URI, ``<out>/<pair>-<train>/<model>/model``.
        cold: How cold users and items are predicted: ``hierarchical``, ``fallback``, ``floor``,
            or ``source``, which lets the model answer for users with source ratings only, if it
            can. By default as in the card's scores: ``source`` for a model of the cold-user task.

    Raises:
        UserError: The folder is absent, damaged, of another model, or of a later version.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> folder = darec.search("bias", pair, trials=1, out="results", resume=True).fit()
        >>> darec.load(folder).recommend([pair.user_ids[0]], n=3)["rank"].tolist()
        [1, 2, 3]
    """
    if cold not in (None, *get_args(ColdPolicy), "source"):
        rule = f"cold must be {', '.join(get_args(ColdPolicy))} or source"
        raise UserError(f"{rule}, but got {cold!r}")
    if storage.is_uri(str(path)):
        return model_of(copy_of(str(path)), cold)
    return _loaded(Path(path), cold)


@dataclass(frozen=True)
class Copy:
    """The files of a model folder in memory, to be sent to other processes and machines."""

    place: str
    """The folder or URI that they are from."""
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """SHA-256 of model.json, which has those of the other files."""
        return hashlib.sha256(self.files[CARD]).hexdigest()


def copy_of(place: str, names: frozenset[str] = frozenset({CARD, *FILES})) -> Copy:
    """Return a copy of files of a model folder; raises `UserError` for one that cannot be read."""
    is_uri = storage.is_uri(place)
    files, folder = storage.open_place(place if is_uri else str(Path(place).absolute()))
    content = {}
    for name in sorted(names):
        try:
            content[name] = storage.read(files, f"{folder}/{name}")
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"{place}/{name}: cannot be read: {reason}; is it a model?") from error
    return Copy(place, content)


def model_of(copy: Copy, cold: Cold | None = None) -> LoadedModel:
    """Return the model of a copy; raises `UserError` as `load` does."""
    with tempfile.TemporaryDirectory(prefix="darec-model-") as folder:
        for name, content in copy.files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            return _loaded(Path(folder), cold)
        except UserError as error:
            raise UserError(str(error).replace(folder, copy.place)) from error


def _loaded(folder: Path, cold: Cold | None) -> LoadedModel:
    card = read_card(folder)
    try:
        kind = kind_of(card.model)
    except UserError as error:
        raise UserError(f"{folder / CARD}: {error}") from error
    try:
        weights, stages, training, ids = read(folder, card)
        run = Run(derive(card.seed, "run"), cache=StoredStages(stages))
        config = card.config if card.format > 1 else of_format1(kind, card.config)
        model = kind.build(parse(kind.config, config), training, run)
        model.load_weights(weights)
        check_counts(card, training)
    except (*DAMAGED, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{folder}: its parts do not fit each other: {reason}; {REMEDY}") from error
    chosen: Cold = cold or ("source" if card.cold_users else card.cold)
    return LoadedModel(card, Scorer(card.model, model, training, chosen), ids)
