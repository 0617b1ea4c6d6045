"""Winners of earlier searches, which a new search tries first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darec.errors import UserError
from darec.models import kind_of
from darec.models.best import read_best
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.trial.names import flatten


def winners_for(
    model: str, places: str | Path | Sequence[str | Path]
) -> dict[str, list[dict[str, Any]]]:
    """Return those of `winners_of` that a search of a model tries: its own, and its stage 1's."""
    first = kind_of(model).stage1
    own = {model} if first is None else {model, first.model}
    return {name: found for name, found in winners_of(places).items() if name in own}


def winners_of(places: str | Path | Sequence[str | Path]) -> dict[str, list[dict[str, Any]]]:
    """Return the configs of all winners below some folders or URIs, by model, under flat names.

    First stages have winners of their own. Raises `UserError` for a place without any.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    several = [places] if isinstance(places, str | Path) else places
    for place in map(str, several):
        folder = storage.working_folder(place) if storage.is_uri(place) else Path(place)
        if storage.is_uri(place):
            storage.fetch(place, folder)
        some = False
        for path in sorted(folder.rglob("best.json")):
            try:
                best = read_best(path.parent)
            except UserError as error:
                LOGGER.warning("--warm-start leaves out what cannot be read: %s", error)
                continue
            some = True
            configs = found.setdefault(best.model, [])
            if (config := flatten(best.config)) not in configs:
                configs.append(config)
        if not some:
            raise UserError(f"--warm-start {place}: no finished search is in this folder")
    return found
