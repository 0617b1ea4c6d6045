"""Quick checks of names and places, before heavy libraries are imported."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from darec.errors import UserError
from darec.tuning.study.differences import unlike
from search_spaces import SPACES

PLUGINS = "darec.models"
"""The entry-point group of installed models."""
STACK = "stack"
"""The model that is made of others, not searched."""
LIBRARIES = {
    "pmf": ("surprise", "scikit-surprise"),
    "fm": ("myfm", "myfm"),
    "fm_cdcf": ("myfm", "myfm"),
}
"""The module and the package that a model needs beside darec's own."""


def listed(text: str) -> list[str]:
    """Return the words between commas, each once."""
    return list(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))


def named_models(text: str, known: Iterable[str], option: str = "--model") -> list[str]:
    """Return the models that an option names, ``all`` of the known ones or some as ``a,b``.

    Raises `UserError` for an unknown name.
    """
    names, choices = listed(text), list(known)
    for name in names or [text]:
        if name not in [*choices, "all"]:
            rule = f"one of {', '.join(choices)}, several as a,b, or all"
            raise UserError(f"{option} must be {rule}, but got {name!r}")
    return choices if "all" in names else names


def installed_models() -> list[str]:
    """Return the names of darec's models that can be searched, and of those of installed packages.

    Nothing is imported. One of a package may turn out to be broken.
    """
    return [*SPACES, *(point.name for point in entry_points(group=PLUGINS))]


def check_names(text: str, option: str = "--model", *, made: bool = False) -> list[str]:
    """Return the models that an option names; with ``made`` they may include the stack.

    Raises `UserError` for an unknown name.
    """
    return named_models(text, [*installed_models(), *([STACK] if made else [])], option)


def check_libraries(names: Iterable[str]) -> None:
    """Raise `UserError` for the first model whose library is not installed."""
    for name in names:
        if name in LIBRARIES and find_spec(LIBRARIES[name][0]) is None:
            message = f"--model {name} needs {LIBRARIES[name][1]}, which is not installed"
            raise UserError(f'{message}; pip install -e ".[baselines]"')


def check_searches(places: Iterable[str]) -> None:
    """Raise `UserError` for the first folder without a search; URIs are not looked at."""
    for place in places:
        if "://" not in place and not (Path(place) / "study.json").is_file():
            raise UserError(f"{place}: no search is here; darec status lists all")


def check_same_budget(
    out: str, labels: Sequence[str], models: Sequence[str], asked: Mapping[str, float | None]
) -> None:
    """Raise `UserError` where a search of ``out/label/model`` has another budget than is asked for.

    ``asked`` has values of ``max_epochs`` and ``time_budget``; None: not given, which is checked
    later. Damaged records are left to the reader that names what is wrong with them.
    """
    for place in (Path(out).resolve() / label / model for label in labels for model in models):
        try:
            recorded = json.loads((place / "study.json").read_text())["budget"]
            there = {name: recorded[name] for name in asked}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for name, value in asked.items():
            whole_fit = name == "max_epochs" and there[name] == 1
            here = None if value == math.inf else value
            if value is not None and here != there[name] and not whole_fit:
                message = unlike(f"--{name.replace('_', '-')}", there[name], here)
                raise UserError(f"{place / 'study.json'}: {message}")


def check_no_search(out: str, labels: Sequence[str], models: Sequence[str]) -> None:
    """Raise `UserError` if there is a search already in one of the folders ``out/label/model``."""
    places = [Path(out).resolve() / label / model for label in labels for model in models]
    taken = [str(place) for place in places if (place / "study.json").exists()]
    if taken:
        ways = "continue with --resume, delete what is there, or give another --out"
        holds = "holds" if len(taken) == 1 else "hold"
        raise UserError(f"{', '.join(taken)} {holds} a search already; {ways}")
