"""The parts of a folder of recommendations: each is one file, and is kept by a later run.

A part gets its name when it is complete.
"""

import hashlib
import json
from dataclasses import asdict

from pydantic.dataclasses import dataclass

from darec.core.config import STRICT
from darec.errors import UserError
from darec.parsing import parse_json
from darec.serving.card import Card
from darec.tuning import storage

PLAN = "_plan.json"
"""Readers of Parquet folders ignore a name that begins with an underscore."""


@dataclass(frozen=True, config=STRICT)
class Plan:
    """What the parts of a folder have in common."""

    model: str
    """`digest` of the model."""
    users: int
    users_a_part: int
    top: int
    include_seen: bool
    lower_bound: float
    titles: str | None
    """SHA-256 of the file of titles; None: there are no titles."""

    def names(self) -> list[str]:
        """Return the name of each part."""
        return [f"part-{part:06d}.parquet" for part in range(-(-self.users // self.users_a_part))]


def digest(card: Card) -> str:
    """Return the SHA-256 of a model, which an evaluation does not change."""
    content = json.dumps(asdict(card.with_scores([])), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def begin(place: str, plan: Plan) -> list[int]:
    """Write the plan into an empty folder or URI; return the parts that are missing there.

    Raises `UserError` if the folder has the parts of another plan, or other files.
    """
    files, root = storage.open_place(place)
    path, given = storage.join(root, PLAN), storage.join(place, PLAN)
    there = {info.base_name for info in storage.listed(files, root)}
    there = {name for name in there if not name.startswith(".")}  # what an interruption left
    remedy = "give another -o"
    if PLAN not in there and there:
        raise UserError(f"--out {place}: must be empty or have a {PLAN}, but has other files")
    if there - {PLAN}:
        before = parse_json(storage.read(files, path), Plan, given, remedy)
        for field, value in vars(plan).items():
            if (was := vars(before)[field]) != value:
                rule = f"{field} of the parts that are there is {was}"
                raise UserError(f"{given}: {rule}, but that of this command is {value}; {remedy}")
    else:
        storage.replace(files, path, json.dumps(asdict(plan), indent=2).encode())
    return [part for part, name in enumerate(plan.names()) if name not in there]


def write_part(place: str, name: str, content: bytes) -> None:
    """Write a part as a whole."""
    files, root = storage.open_place(place)
    storage.replace(files, storage.join(root, name), content)
