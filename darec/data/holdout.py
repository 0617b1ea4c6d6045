"""What is held out of a pair: by which rule, how much, and how results are named after it."""

from dataclasses import dataclass
from typing import Literal, get_args

from darec.data.ratings import DomainPair
from darec.errors import UserError

TrainPercent = Literal[90, 80]
"""Percent of the ratings that are not held out as test ratings."""
ColdPercent = Literal[20, 50, 80]
"""Percent of the users who are test users of the cold-user task, as the field has it."""
SplitKind = Literal["random", "temporal", "user-temporal", "file"]
"""``random`` is the paper's. ``temporal`` tests on the last of all ratings, ``user-temporal`` on
each user's last ratings, ``file`` on those that a split file names (docs/splits.md)."""
IN_TIME = ("temporal", "user-temporal")
"""The splits that need the times of ratings."""


@dataclass(frozen=True)
class Holdout:
    """Which ratings are held out; the default is the paper's protocol (section 4.1).

    Raises ``ValueError`` for an unknown value, and for two rules that exclude each other.
    """

    train: TrainPercent = 90
    cold_users: ColdPercent | None = None
    """Percent of the users who are test users of the cold-user task; None: the warm task."""
    split: SplitKind = "random"

    def __post_init__(self) -> None:
        if self.train not in get_args(TrainPercent):
            raise ValueError(f"train must be 90 or 80 (section 4.1), but got {self.train}")
        if self.cold_users not in (None, *get_args(ColdPercent)):
            raise ValueError(f"cold_users must be 20, 50 or 80, but got {self.cold_users}")
        if self.split not in get_args(SplitKind):
            known = ", ".join(get_args(SplitKind))
            raise ValueError(f"split must be one of {known}, but got {self.split!r}")
        if self.split != "random" and self.cold_users is not None:
            raise ValueError(f"split must be random for cold users, but got {self.split!r}")

    @property
    def same_for_all_seeds(self) -> bool:
        """Whether there is one split, so that more seeds are more training runs on it."""
        return self.split != "random"

    def label(self, pair: str) -> str:
        """Return what folders and cells are named: ``<pair>-90``, ``<pair>-cold20``.

        Other splits add their name: ``<pair>-90-temporal``, ``<pair>-file``.
        """
        if self.cold_users is not None:
            return f"{pair}-cold{self.cold_users}"
        if self.split == "file":
            return f"{pair}-file"
        kind = "" if self.split == "random" else f"-{self.split}"
        return f"{pair}-{self.train}{kind}"

    @property
    def in_words(self) -> str:
        """What the heading of a table says of the split."""
        if self.cold_users is not None:
            return f"{self.cold_users} % of the users cold"
        if self.split == "file":
            return "the split of its file"
        kind = {
            "random": "",
            "temporal": ", tested on the last ratings",
            "user-temporal": ", tested on each user's last ratings",
        }[self.split]
        return f"{self.train} % training{kind}"

    @property
    def options(self) -> str:
        """The options of a command that ask for this split."""
        if self.cold_users is not None:
            return f"--task cold_users --cold-share {self.cold_users}"
        if self.split == "file":
            return "--split file"
        return f"--train {self.train}" + (
            f" --split {self.split}" if self.split != "random" else ""
        )

    def check(self, pair: DomainPair) -> None:
        """Raise `UserError` if a pair lacks what the split is made by: times, or a split file."""
        if self.split in IN_TIME:
            for domain, marks in (("source", pair.source_marks), ("target", pair.target_marks)):
                if message := marks.lack_of_times:
                    rule = f"--split {self.split} needs the time of each rating"
                    how = "prepare it from files with timestamps"
                    raise UserError(f"{pair.name}: {rule}, but in the {domain} {message}; {how}")
        if self.split == "file" and pair.target_marks.parts is None:
            how = "give --split-file to darec prepare"
            raise UserError(f"{pair.name}: --split file: it was prepared without one; {how}")
