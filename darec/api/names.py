"""Quick checks of names and places, before heavy libraries are imported."""

from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from darec.errors import UserError
from search_spaces import SPACES

PLUGINS = "darec.models"
"""The entry-point group of installed models."""


def listed(text: str) -> list[str]:
    """Return the words between commas, each once."""
    return list(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))


def named_models(text: str, known: Iterable[str]) -> list[str]:
    """Return the models that ``--model`` names, ``all`` of the known ones or some as ``a,b``.

    Raises `UserError` for an unknown name.
    """
    names, choices = listed(text), list(known)
    for name in names or [text]:
        if name not in [*choices, "all"]:
            rule = f"one of {', '.join(choices)}, several as a,b, or all"
            raise UserError(f"--model must be {rule}, but got {name!r}")
    return choices if "all" in names else names


def installed_models() -> list[str]:
    """Return the names of darec's models that can be searched, and of those of installed packages.

    Nothing is imported. One of a package may turn out to be broken.
    """
    return [*SPACES, *(point.name for point in entry_points(group=PLUGINS))]


def check_no_search(out: str, labels: Sequence[str], models: Sequence[str]) -> None:
    """Raise `UserError` if there is a search already in one of the folders ``out/label/model``."""
    places = [Path(out).resolve() / label / model for label in labels for model in models]
    taken = [str(place) for place in places if (place / "study.json").exists()]
    if taken:
        ways = "continue with --resume, delete what is there, or give another --out"
        holds = "holds" if len(taken) == 1 else "hold"
        raise UserError(f"{', '.join(taken)} {holds} a search already; {ways}")
