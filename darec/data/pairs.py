"""Build a `DomainPair` of two rating files: users are chosen, and shared items are dropped.

Shapes: N ratings, U users.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from darec.data.drop_twins import Dropped, ItemIds
from darec.data.ratings import DomainPair, IntArray, Ratings
from darec.data.readers import RawRatings
from darec.errors import UserError

MinIn = Literal["each", "total"]
"""Where a user needs the minimum number of ratings: in each domain, or in both together."""
Overlap = Literal["shared", "all"]
"""Which users are kept: those with ratings in both domains, or those of one domain only as well."""

NO_ITEMS: ItemIds = np.array([], object)


@dataclass(frozen=True)
class PairFiles:
    """The two Amazon categories of a pair, as their files are named."""

    source: str
    target: str


PAIRS = {
    "office_movies": PairFiles("Office_Products", "Movies_and_TV"),
    "sports_cds": PairFiles("Sports_and_Outdoors", "CDs_and_Vinyl"),
    "apps_games": PairFiles("Apps_for_Android", "Video_Games"),
    "toys_auto": PairFiles("Toys_and_Games", "Automotive"),
}
"""The pairs of Table 1."""


@dataclass(frozen=True)
class Preparation:
    """What was removed from two rating files to make a pair, and how many users they shared."""

    repeated_source: int
    repeated_target: int
    """Rows that were dropped because the same user rated the same item later."""
    shared_items: int
    """Items in both files; they were dropped from both domains (section 1)."""
    shared_users: int
    """Users in both files, before users with too few ratings were dropped."""
    twins: Dropped | None = None
    """What `drop_twins` left out; None if it was not asked to."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """Ratings as columns of length N."""

    users: IntArray
    items: IntArray
    values: npt.NDArray[np.float32]

    def where(self, keep: npt.NDArray[np.bool_]) -> "_Columns":
        return _Columns(self.users[keep], self.items[keep], self.values[keep])


def build_pair(
    name: str,
    source: RawRatings,
    target: RawRatings,
    min_ratings: int = 5,
    min_in: MinIn = "each",
    overlap: Overlap = "shared",
    without: ItemIds = NO_ITEMS,
) -> tuple[DomainPair, Preparation]:
    """Return the pair of two rating files, and what was removed to make it.

    Users need ratings in both domains, and ``min_ratings`` of them in each; with ``min_in="total"``
    they need that many in both together. With ``overlap="all"`` users of one domain only are kept
    as well, if they have ``min_ratings`` ratings there. Items ``without`` are left out with their
    ratings.
    Raises `UserError` when the files share no user, or no shared user has enough ratings.
    """
    files = f"{source.path} and {target.path}"
    ids_S, ids_T = pd.Index(source.user_ids), pd.Index(target.user_ids)
    shared = ids_S.intersection(ids_T)
    if not len(shared):
        example = f"{source.user_ids[0]!r} and {target.user_ids[0]!r}"
        raise UserError(f"{files}: must share users, but no user id is in both (e.g. {example})")
    user_ids = (shared if overlap == "shared" else ids_S.union(ids_T)).sort_values()
    shared_items = pd.Index(source.item_ids).intersection(pd.Index(target.item_ids))
    (columns_S, repeated_S), (columns_T, repeated_T) = (
        _of_users(raw, user_ids, shared_items.union(pd.Index(without))) for raw in (source, target)
    )
    count_S, count_T = (
        np.bincount(columns.users, minlength=len(user_ids)) for columns in (columns_S, columns_T)
    )
    both = (count_S > 0) & (count_T > 0)
    enough = _enough(count_S, count_T, min_ratings, min_in)
    if not (both & enough).any():
        where = {"each": "each domain", "total": "total"}[min_in]
        rule = f"must leave a user with >= {min_ratings} ratings in {where}"
        rule += " once copies are dropped" * bool(len(without))
        raise UserError(f"{files}: {rule}, but none of {len(shared)} users has so many")
    kept = enough if overlap == "all" else both & enough
    (ratings_S, items_S), (ratings_T, items_T) = (
        _index(columns.where(kept[columns.users]), kept, raw.item_ids)
        for columns, raw in ((columns_S, source), (columns_T, target))
    )
    users = user_ids.to_numpy(dtype=object)[kept]
    pair = DomainPair(name, ratings_S, ratings_T, users, items_S, items_T)
    return pair, Preparation(repeated_S, repeated_T, len(shared_items), len(shared))


def _enough(
    count_S: npt.NDArray[np.int64], count_T: npt.NDArray[np.int64], least: int, min_in: MinIn
) -> npt.NDArray[np.bool_]:
    """Return which users have enough ratings in each domain that they have any in, or in total."""
    total = count_S + count_T
    if min_in == "total":
        return total >= max(1, least)
    rich_S, rich_T = ((count == 0) | (count >= least) for count in (count_S, count_T))
    enough: npt.NDArray[np.bool_] = rich_S & rich_T & (total > 0)
    return enough


def _of_users(
    raw: RawRatings, user_ids: "pd.Index[str]", dropped_items: "pd.Index[str]"
) -> tuple[_Columns, int]:
    """Return some users' ratings of the other items, and how many repeated rows there were.

    Of the rows of one (user, item) the latest counts; without timestamps, the last in the file.
    Repeats are counted over the whole file.
    """
    cell = raw.users.astype(np.int64) * len(raw.item_ids) + raw.items
    by_time = np.argsort(raw.times, kind="stable")
    is_repeated = pd.Series(cell[by_time]).duplicated(keep="last").to_numpy()
    latest = np.sort(by_time[~is_repeated])
    new_user = user_ids.get_indexer(pd.Index(raw.user_ids)).astype(np.int32)
    keep_item = ~pd.Index(raw.item_ids).isin(dropped_items)
    columns = _Columns(new_user[raw.users[latest]], raw.items[latest], raw.values[latest])
    keep = (columns.users >= 0) & keep_item[columns.items]
    return columns.where(keep), len(raw) - len(latest)


def _index(
    columns: _Columns, kept_users: npt.NDArray[np.bool_], item_ids: npt.NDArray[np.object_]
) -> tuple[Ratings, npt.NDArray[np.object_]]:
    """Return the kept users' ratings with users and items renumbered from 0, and the items' ids.

    Items without a rating are dropped; the others are sorted by id.
    """
    new_user = np.cumsum(kept_users, dtype=np.int32) - np.int32(1)
    present = np.unique(columns.items)
    present = present[np.argsort(item_ids[present].astype(str), kind="stable")]
    new_item = np.full(len(item_ids), -1, np.int32)
    new_item[present] = np.arange(len(present), dtype=np.int32)
    users, items = new_user[columns.users], new_item[columns.items]
    n_users = int(kept_users.sum())
    return Ratings(users, items, columns.values, n_users, len(present)), item_ids[present]
