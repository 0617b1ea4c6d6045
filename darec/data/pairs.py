"""Build a `DomainPair` of two domains' rating files.

Shapes: U users.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from darec.data.marks import UNMARKED, Marks
from darec.data.ratings import BoolArray, Domain, DomainPair, Ratings
from darec.data.readers import RawRatings
from darec.data.scale import Scale
from darec.data.scales import ON_STARS, Scales, means_unrated
from darec.data.selection import (
    AS_THE_PAPER,
    NO_ITEMS,
    ItemIds,
    Removed,
    Rows,
    Selection,
    drop_repeats,
    drop_shared_items,
    drop_users,
)
from darec.errors import UserError

NOTHING: Mapping[Domain, ItemIds] = {"source": NO_ITEMS, "target": NO_ITEMS}


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


def build_pair(
    name: str,
    source: RawRatings,
    target: RawRatings,
    rules: Selection = AS_THE_PAPER,
    without: Mapping[Domain, ItemIds] = NOTHING,
    scales: Scales = ON_STARS,
) -> tuple[DomainPair, Removed]:
    """Return the pair of two domains' files, and which rows were removed to make it.

    Every row is kept or counted. Items ``without`` are left out with their ratings. Ratings on the
    ``scales`` become stars.
    Raises `UserError` when the files share no user, too many items, or leave no user.
    """
    files = f"{source.path} and {target.path}"
    ids_S, ids_T = pd.Index(source.user_ids), pd.Index(target.user_ids)
    shared = ids_S.intersection(ids_T)
    if not len(shared):
        example = f"{source.user_ids[0]!r} and {target.user_ids[0]!r}"
        raise UserError(f"{files}: must share users, but no user id is in both (e.g. {example})")
    user_ids = (shared if rules.overlap == "shared" else ids_S.union(ids_T)).sort_values()
    rows_S, rows_T = Rows(source, user_ids), Rows(target, user_ids)
    for rows in (rows_S, rows_T):
        rows.drop(means_unrated(rows.raw.values, rules.unrated), "unrated")
        drop_repeats(rows)
    n_shared_items = drop_shared_items(rows_S, rows_T, rules.items)
    rows_S.drop(rows_S.is_item_in(without["source"]), "twins")
    rows_T.drop(rows_T.is_item_in(without["target"]), "twins")
    kept_U = drop_users(rows_S, rows_T, len(user_ids), rules)
    removed = Removed(rows_S.dropped, rows_T.dropped, n_shared_items, len(shared))
    if not (rows_S.kept.any() and rows_T.kept.any()):
        raise UserError(f"{files}: {_too_few(rules, removed)}")
    ratings_S, items_S = _index(rows_S, kept_U, scales.source)
    ratings_T, items_T = _index(rows_T, kept_U, scales.target)
    users = user_ids.to_numpy(dtype=object)[kept_U]
    marks = _marks(rows_S), _marks(rows_T)
    return DomainPair(name, ratings_S, ratings_T, users, items_S, items_T, *marks), removed


def _too_few(rules: Selection, removed: Removed) -> str:
    """Return why no user is left."""
    where = {"each": "each domain", "total": "total"}[rules.min_in]
    rule = f"must leave a user with >= {rules.min_ratings} ratings in {where}"
    if rules.min_item_ratings > 1:
        rule += f", and items with >= {rules.min_item_ratings}"
    dropped = [
        message
        for message, reason in (
            (f"{removed.shared_items} items of both files", "shared_items"),
            ("copies", "twins"),
        )
        if removed.source[reason] or removed.target[reason]
    ]
    once = f" once {' and '.join(dropped)} are dropped" if dropped else ""
    return f"{rule}{once}, but none of {removed.shared_users} users has so many"


def _marks(rows: Rows) -> Marks:
    """Return the times of the kept rows; none where they say nothing, since all are equal."""
    time_N = rows.raw.times[rows.kept]
    known_N = time_N[~np.isnan(time_N)]
    return Marks(time_N) if len(known_N) and np.ptp(known_N) > 0 else UNMARKED


def _index(rows: Rows, kept_U: BoolArray, scale: Scale) -> tuple[Ratings, npt.NDArray[np.object_]]:
    """Return the kept rows' ratings with users and items renumbered from 0, and the items' ids.

    Items without a rating are dropped; the others are sorted by id. Ratings become stars.
    """
    new_user = np.cumsum(kept_U, dtype=np.int32) - np.int32(1)
    item_N, item_ids = rows.items[rows.kept], rows.raw.item_ids
    present = np.unique(item_N)
    present = present[pc.sort_indices(pa.array(item_ids[present], pa.string())).to_numpy()]
    new_item = np.full(len(item_ids), -1, np.int32)
    new_item[present] = np.arange(len(present), dtype=np.int32)
    users, star_N = new_user[rows.users[rows.kept]], scale.to_stars(rows.raw.values[rows.kept])
    sizes = int(kept_U.sum()), len(present)
    return Ratings(users, new_item[item_N], star_N, *sizes, scale), item_ids[present]
