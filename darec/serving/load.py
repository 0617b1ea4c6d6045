"""Read a model folder back as a model in use."""

from pathlib import Path
from typing import get_args

from darec.core.config import parse
from darec.core.recommender import ColdPolicy, Run
from darec.errors import UserError
from darec.models import kind_of
from darec.seeds import derive
from darec.serving.folder import (
    CARD,
    DAMAGED,
    REMEDY,
    StoredStages,
    check_counts,
    read,
    read_card,
)
from darec.serving.model import LoadedModel
from darec.serving.scorer import Cold, Scorer
from darec.tuning import storage


def load(path: str | Path, cold: Cold | None = None) -> LoadedModel:
    """Return the model in a folder that a search, or `darec.fit`, has written.

    Args:
        path: The folder or URI, ``<out>/<pair>-<train>/<model>/model``.
        cold: How cold users and items are predicted: ``fallback``, ``floor``, or ``source``, which
            lets the model answer for users with source ratings only, if it can. By default as
            in the card's scores.

    Raises:
        UserError: The folder is absent, damaged, of another model, or of a later version.

    Example:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> folder = darec.search("bias", pair, trials=1, out="results", resume=True).fit()
        >>> darec.load(folder).recommend([pair.user_ids[0]], n=3)["rank"].tolist()
        [1, 2, 3]
    """
    if cold not in (None, *get_args(ColdPolicy), "source"):
        raise UserError(f"cold must be fallback, floor or source, but got {cold!r}")
    folder = Path(path)
    if storage.is_uri(str(path)):
        folder = storage.working_folder(str(path))
        storage.fetch(str(path), folder, models=True)
    card = read_card(folder)
    try:
        kind = kind_of(card.model)
    except UserError as error:
        raise UserError(f"{folder / CARD}: {error}") from error
    try:
        weights, stages, training, ids = read(folder, card)
        run = Run(derive(card.seed, "run"), cache=StoredStages(stages))
        model = kind.build(parse(kind.config, card.config), training, run)
        model.load_weights(weights)
        check_counts(card, training)
    except (*DAMAGED, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{folder}: its parts do not fit each other: {reason}; {REMEDY}") from error
    return LoadedModel(card, Scorer(card.model, model, training, cold or card.cold), ids)
