"""What a person wants to know of a pair before a search: how many ratings, of whom, and how cold.

Ratings are in their domain's own units. Mean and histogram are of all ratings of a pair; of a
split's test ratings only their number, users and items are looked at.
Shapes: N ratings, U users, I items.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darec.data.copies import Agreement, agreement
from darec.data.holdout import Holdout
from darec.data.marks import Marks
from darec.data.ratings import DomainPair, Ratings
from darec.data.split import in_both_domains, target_parts
from darec.errors import UserError

MOST_AT_ONCE = 20_000_000
"""With more ratings, one domain is looked at after the other, which takes less memory."""
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""The quantiles of the numbers of ratings that are reported."""
HOLDOUTS = (
    Holdout(90),
    Holdout(80),
    Holdout(90, split="temporal"),
    Holdout(90, split="user-temporal"),
    Holdout(split="file"),
    Holdout(cold_users=20),
)
"""The splits whose cold share is reported, where a pair has what they need."""
MOST_LEVELS = 21
"""With more distinct ratings a histogram has bins."""


@dataclass(frozen=True, eq=False)
class DomainFacts:
    """One domain in numbers."""

    users: int
    """Users who have ratings here."""
    items: int
    ratings: int
    density: float
    """Share of the cells of users and items that have a rating."""
    mean: float
    sd: float
    histogram: dict[float, int]
    """Ratings by level; by the middle of a bin where there are more than `MOST_LEVELS` levels."""
    per_user: npt.NDArray[np.int64]
    """Ratings of each user who has some, ascending."""
    per_item: npt.NDArray[np.int64]
    """Ratings of each item, ascending."""
    copies: Agreement
    times: npt.NDArray[np.float64] | None
    """The times of the ratings that have one, ascending; None if none has."""


@dataclass(frozen=True)
class Cold:
    """How much of a split's target test ratings is cold."""

    split: str
    """The split in words."""
    test: int
    """Number of test ratings."""
    cold_items: float
    """Share of them whose item has no training rating."""
    cold_users: float
    """Share of them whose user has no training rating in the target."""


@dataclass(frozen=True, eq=False)
class Facts:
    """A pair in numbers."""

    source: DomainFacts
    target: DomainFacts
    both: int
    """Users with ratings in both domains."""
    cold: list[Cold]

    @property
    def by_domain(self) -> dict[str, DomainFacts]:
        """Both domains by name."""
        return {"source": self.source, "target": self.target}


def facts(pair: DomainPair) -> Facts:
    """Return a pair in numbers; splits that it is too small for, or lacks times for, are absent."""
    at_once = 1 if len(pair.source) + len(pair.target) > MOST_AT_ONCE else 2
    with ThreadPoolExecutor(at_once) as pool:  # most of the work is done outside of Python
        source, target = pool.map(
            _domain, (pair.source, pair.target), (pair.source_marks, pair.target_marks)
        )
    return Facts(
        source=source,
        target=target,
        both=int(in_both_domains(pair).sum()),
        cold=[found for holdout in HOLDOUTS if (found := _cold(pair, holdout))],
    )


def _domain(ratings: Ratings, marks: Marks) -> DomainFacts:
    per_user, per_item = (
        np.sort(n[n > 0]).astype(np.int64) for n in (ratings.user_counts, ratings.item_counts)
    )
    values = ratings.scale.from_stars(ratings.values).astype(np.float64)
    return DomainFacts(
        users=len(per_user),
        items=len(per_item),
        ratings=len(ratings),
        density=len(ratings) / max(1, len(per_user) * len(per_item)),
        mean=float(values.mean()),
        sd=float(values.std()),
        histogram=_histogram(values),
        per_user=per_user,
        per_item=per_item,
        copies=agreement(ratings),
        times=None if marks.times is None else np.sort(marks.times[~np.isnan(marks.times)]),
    )


def _histogram(values: npt.NDArray[np.float64]) -> dict[float, int]:
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > MOST_LEVELS:
        counts, edges = np.histogram(values, bins=MOST_LEVELS - 1)
        levels = (edges[1:] + edges[:-1]) / 2
    return {round(float(level), 4): int(n) for level, n in zip(levels, counts, strict=True)}


def _cold(pair: DomainPair, holdout: Holdout) -> Cold | None:
    try:
        known, _, test = target_parts(pair, holdout)
    except (UserError, ValueError):  # it lacks times or a split file, or is too small
        return None
    return Cold(
        split=holdout.in_words,
        test=len(test),
        cold_items=float((known.item_counts[test.items] == 0).mean()),
        cold_users=float((known.user_counts[test.users] == 0).mean()),
    )
