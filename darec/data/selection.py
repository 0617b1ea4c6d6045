"""Choose the rows of two rating files that become a pair, and count the others by their reason.

Shapes: N rows of a file, U users of either file.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from darec.data.ratings import BoolArray, Domain, IntArray
from darec.data.readers import RawRatings
from darec.errors import UserError
from darec.seeds import generator

MinIn = Literal["each", "total"]
"""Where a user needs the minimum number of ratings: in each domain, or in both together."""
Overlap = Literal["shared", "all"]
"""Which users are kept: those with ratings in both domains, or those of one domain only as well."""
ItemRule = Literal["shared", "separate"]
"""Whether an item id means the same item in both files, or one of each file."""
MOST_SHARED = 0.1
"""Largest share of a domain's ratings that is dropped as ratings of shared items unless ``--items
shared`` asks for it. If both files number their items from 1, most or all ratings are affected."""
ItemIds = npt.NDArray[np.object_]
NO_ITEMS: ItemIds = np.array([], object)


@dataclass(frozen=True)
class Selection:
    """Which users and items of two rating files become a pair."""

    min_ratings: int = 5
    """Users with fewer ratings are dropped (the paper's filter, section 4.1)."""
    min_in: MinIn = "each"
    overlap: Overlap = "shared"
    items: ItemRule | None = None
    """None: ``shared``, unless that drops more than `MOST_SHARED` of a domain's ratings."""
    min_item_ratings: int = 1
    """Items with fewer ratings of the kept users are dropped, again and again with the users who
    have too few ratings then (a k-core)."""
    sample_users: int | None = None
    """How many of the users with enough ratings are kept, drawn at random before items with few
    ratings are dropped; None: all."""
    unrated: float | None = None
    """Rows with this rating are dropped: it means "not rated". None: no rating does."""

    @property
    def in_words(self) -> str:
        """The rules that hold, in one line."""
        rules = [f"{self.overlap} users with >= {self.min_ratings} ratings ({self.min_in})"]
        if self.sample_users is not None:
            rules.append(f"{self.sample_users} of them drawn at random")
        if self.min_item_ratings > 1:
            rules.append(f"items with >= {self.min_item_ratings} ratings")
        if self.items is not None:
            rules.append(f"{self.items} items")
        if self.unrated is not None:
            rules.append(f"{self.unrated:g} means not rated")
        return ", ".join(rules)


AS_THE_PAPER = Selection()

REASONS = {
    "unrated": "mean not rated",
    "repeated": "repeat a (user, item)",
    "shared_items": "are of items in both files",
    "twins": "are of items that copy another item",
    "one_domain": "are of users of one file only",
    "not_sampled": "are of users who were not sampled",
    "few_ratings": "are of users with too few ratings",
    "few_of_item": "are of items with too few ratings",
}
"""Why rows are dropped, in the order in which they are."""


class Rows:
    """The rows of a file, those that are still kept, and how many were dropped for each reason."""

    def __init__(self, raw: RawRatings, user_ids: "pd.Index[str]") -> None:
        self.raw = raw
        new_user = user_ids.get_indexer(pd.Index(raw.user_ids)).astype(np.int32)
        self.users: IntArray = new_user[raw.users]
        """i32[N], a position in ``user_ids``; -1 for other users."""
        self.items = raw.items
        self.kept: BoolArray = np.ones(len(raw), bool)
        self.dropped = dict.fromkeys(REASONS, 0)

    def drop(self, where_N: BoolArray, reason: str) -> bool:
        """Drop rows, count those that were kept until now, and return whether there are any."""
        new_N = self.kept & where_N
        self.dropped[reason] += int(new_N.sum())
        self.kept &= ~where_N
        return bool(new_N.any())

    def count_of_users(self, n_users: int) -> npt.NDArray[np.int64]:
        """Return how many rows of each user are kept."""
        return np.bincount(self.users[self.kept], minlength=n_users)

    def count_of_items(self) -> npt.NDArray[np.int64]:
        """Return how many rows of each item are kept."""
        return np.bincount(self.items[self.kept], minlength=len(self.raw.item_ids))

    def is_item_in(self, ids: ItemIds) -> BoolArray:
        """Return which rows are of items with these ids."""
        in_ids: BoolArray = pd.Index(self.raw.item_ids).isin(ids)[self.items]
        return in_ids


@dataclass(frozen=True)
class Removed:
    """Rows of each file that were dropped, by reason (`REASONS`), and what the files share."""

    source: dict[str, int] = field(default_factory=dict)
    target: dict[str, int] = field(default_factory=dict)
    shared_items: int = 0
    """Item ids in both files."""
    shared_users: int = 0
    """User ids in both files."""

    def sentence(self, domain: Domain, n_kept: int) -> str:
        """Say how many rows of a domain's files were read and dropped, and why."""
        dropped = self.source if domain == "source" else self.target
        parts = [f"{n:,} {REASONS[reason]}" for reason, n in dropped.items() if n]
        why = f"; of the others {', '.join(parts)}" if parts else ""
        return f"{domain}: {n_kept:,} of {n_kept + sum(dropped.values()):,} rows are kept{why}"


def drop_repeats(rows: Rows) -> None:
    """Keep the latest row of each (user, item); of those without a time, the last in the file.

    Only rows that are still kept count.
    """
    raw = rows.raw
    cell_N = raw.users.astype(np.int64) * len(raw.item_ids) + raw.items
    in_order = np.sort(cell_N[rows.kept])
    if not (in_order[1:] == in_order[:-1]).any():
        return
    del in_order
    by_time = np.argsort(np.nan_to_num(raw.times, nan=-np.inf), kind="stable")
    by_time = by_time[rows.kept[by_time]]
    is_repeated = pd.Series(cell_N[by_time]).duplicated(keep="last").to_numpy()
    repeated_N = np.zeros(len(raw), bool)
    repeated_N[by_time[is_repeated]] = True
    rows.drop(repeated_N, "repeated")


def drop_shared_items(source: Rows, target: Rows, rule: ItemRule | None) -> int:
    """Drop the items of both files (section 1), and return how many there are.

    Raises `UserError` where no rule is given and that drops too many ratings.
    """
    shared = pd.Index(source.raw.item_ids).intersection(pd.Index(target.raw.item_ids))
    if rule != "separate" and len(shared):
        for domain, rows in (("source", source), ("target", target)):
            where_N = rows.is_item_in(shared.to_numpy(object))
            share = where_N.mean()
            if rule is None and share > MOST_SHARED:
                ids = f"{len(shared)} item ids (e.g. {shared[0]!r})"
                message = f"{ids} with {share:.0%} of the {domain}'s ratings are in both files"
                ways = "--items separate: ids are per file; --items shared: drop these items"
                raise UserError(f"{rows.raw.path}: {message}; say what they are: {ways}")
            rows.drop(where_N, "shared_items")
    return len(shared)


def drop_users(source: Rows, target: Rows, n_users: int, rules: Selection) -> BoolArray:
    """Drop users who are not sampled, and then users and items with too few ratings.

    Returns which users are kept, bool[U].
    """
    for rows in (source, target):
        rows.drop(rows.users < 0, "one_domain")
    if rules.sample_users is not None:
        _sample(source, target, n_users, rules)
    changed = True
    while changed:
        kept_U = _enough(source.count_of_users(n_users), target.count_of_users(n_users), rules)
        changed = False
        for rows in (source, target):
            rows.drop(~kept_U[rows.users] & rows.kept, "few_ratings")
            few_I = rows.count_of_items() < rules.min_item_ratings
            changed |= rows.drop(few_I[rows.items], "few_of_item")
    return kept_U


def _sample(source: Rows, target: Rows, n_users: int, rules: Selection) -> None:
    """Drop all users with enough ratings but for a random sample."""
    enough_U = _enough(source.count_of_users(n_users), target.count_of_users(n_users), rules)
    drawn = generator(0, "sample users").permutation(np.flatnonzero(enough_U))
    dropped_U = np.zeros(n_users, bool)
    dropped_U[drawn[rules.sample_users :]] = True
    for rows in (source, target):
        rows.drop(dropped_U[rows.users] & rows.kept, "not_sampled")


def _enough(
    count_S: npt.NDArray[np.int64], count_T: npt.NDArray[np.int64], rules: Selection
) -> BoolArray:
    """Return which users have ratings in the domains that they need, and enough of them."""
    total, both = count_S + count_T, (count_S > 0) & (count_T > 0)
    if rules.min_in == "total":
        enough = total >= max(1, rules.min_ratings)
    else:
        rich = [(count == 0) | (count >= rules.min_ratings) for count in (count_S, count_T)]
        enough = rich[0] & rich[1] & (total > 0)
    kept: BoolArray = enough if rules.overlap == "all" else both & enough
    return kept
