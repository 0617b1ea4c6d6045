"""Scores on disk: a line of JSON each, added to and never rewritten, and which of them count."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from darec import files
from darec.evaluation.origin import Made, Origin
from darec.parsing import parse_json
from darec.reporter import LOGGER

Key = tuple[Any, ...]
"""Data, model, config, split, seeds and epoch budget: scores of one key measure the same."""


class Keyed(Made, Protocol):
    """A score that says what it measures and where it comes from."""

    @property
    def key(self) -> Key:
        """Identifies the measurement."""


T = TypeVar("T")
S = TypeVar("S", bound=Keyed)


def append(path: Path, scores: Sequence[Any]) -> None:
    """Append the scores of one run, all of one dataclass, in one write, and flush it to disk."""
    files.append(path, "".join(json.dumps(asdict(s), allow_nan=False) + "\n" for s in scores))


def read(path: Path, kind: type[T], place: str | None = None) -> list[T]:
    """Return all scores in a file, all of one dataclass; none if the file is absent.

    ``place`` is how the user names the file, if that is another: its URI. Half a line at the end,
    which an interrupted write left, is dropped with a warning. Raises `UserError` naming the line,
    the field, the rule and the value for any other line that is not a possible score.
    """
    if not path.is_file():
        return []
    named = place or str(path)
    *lines, rest = path.read_bytes().split(b"\n")
    if files.is_whole(rest):
        lines.append(rest)
    elif rest:
        message = "half a line at the end is dropped, as an interrupted write leaves it"
        LOGGER.warning("%s: %s", named, message)
    return [parse_json(line, kind, f"{named}, line {n}") for n, line in enumerate(lines, 1)]


def by_key(scores: Iterable[S]) -> dict[Key, list[S]]:
    """Return the scores of each measurement, in the order of the file."""
    found: dict[Key, list[S]] = {}
    for score in scores:
        found.setdefault(score.key, []).append(score)
    return found


def of_run(known: Mapping[Key, Sequence[S]], keys: Sequence[Key], here: Origin) -> list[S]:
    """Return the scores of one training run, one for each key; none unless all are there.

    They have one origin. Those that this code, these libraries and this kind of device would
    compute come first, then those that were written last.
    """
    newest_first = list(reversed(known.get(keys[0], ())))
    for first in sorted(newest_first, key=lambda score: bool(here.differences(score.origin))):
        own = [
            next((s for s in reversed(known.get(key, ())) if s.origin == first.origin), None)
            for key in keys
        ]
        found = [score for score in own if score is not None]
        if len(found) == len(keys):
            return found
    return []
