"""Ratings as arrays of indices and stars, which all other parts of the package use.

Shapes: N ratings, U users, I items.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from darec.data.marks import UNMARKED, Marks
from darec.data.scale import STARS, Scale

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Axis = Literal["user", "item"]
Domain = Literal["source", "target"]


def along(axis: Axis, users: IntArray, items: IntArray) -> tuple[IntArray, IntArray]:
    """Return each rating's row and column in a matrix whose rows are the users, or the items."""
    return (users, items) if axis == "user" else (items, users)


SYNTHETIC, SHUFFLED = "-synthetic", "-shuffled"
"""End the names of pairs that darec makes: stand-ins, and pairs whose source users are shuffled."""
LOWEST, HIGHEST = STARS.low, STARS.high
"""The star scale (section 4.1) of all ratings inside darec; predictions are clipped to it."""


@dataclass(frozen=True)
class Rows:
    """Ratings grouped by row, as in a CSR matrix of R rows.

    Row r has ratings in the columns ``columns[starts[r]:starts[r + 1]]``. ``starts`` is i64[R + 1],
    ``columns`` i32[N]; ``order i64[N]`` has each rating's position in the `Ratings`.
    """

    starts: npt.NDArray[np.int64]
    columns: IntArray
    order: npt.NDArray[np.int64]
    n_columns: int

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of ratings in each row, i64[R]."""
        return np.diff(self.starts)


@dataclass(frozen=True, eq=False)
class Ratings:
    """One domain's ratings: ``users i32[N]``, ``items i32[N]``, ``values f32[N]`` in stars.

    The constructor raises ``ValueError`` for arrays of unequal length, an index outside
    ``n_users`` x ``n_items``, a value outside [1, 5], or a (user, item) that occurs twice.
    Ratings of another scale are stars, too: `Scale.to_stars` made them of its units.
    """

    users: IntArray
    items: IntArray
    values: FloatArray
    n_users: int
    n_items: int
    scale: Scale = STARS
    """The scale that the ratings were given on; RMSE and MAE are in its units."""

    def __post_init__(self) -> None:
        if not len(self.users) == len(self.items) == len(self.values):
            lengths = (len(self.users), len(self.items), len(self.values))
            raise ValueError(f"users, items and values must be equally long, but got {lengths}")
        for name, index, size in (
            ("users", self.users, self.n_users),
            ("items", self.items, self.n_items),
        ):
            if len(index) and not (0 <= index.min() and index.max() < size):
                span = f"{index.min()}..{index.max()}"
                raise ValueError(f"{name} must lie in 0..{size - 1}, but got {span}")
        if len(self.values) and not (self.values.min() >= LOWEST and self.values.max() <= HIGHEST):
            span = f"{self.values.min()}..{self.values.max()}"
            raise ValueError(f"ratings must lie in [{LOWEST}, {HIGHEST}], but got {span}")
        cells = self.users.astype(np.int64) * self.n_items + self.items
        cells.sort()  # five times as fast as numpy's unique
        if (cells[1:] == cells[:-1]).any():
            raise ValueError("a user must rate an item once, but a (user, item) occurs twice")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Ratings":
        """Return the ratings at these positions, or where this mask is true."""
        users, items, values = self.users[index], self.items[index], self.values[index]
        return Ratings(users, items, values, self.n_users, self.n_items, self.scale)

    def join(self, other: "Ratings") -> "Ratings":
        """Return both sets of ratings as one; raises ``ValueError`` when they share a cell."""
        return Ratings(
            np.concatenate([self.users, other.users]),
            np.concatenate([self.items, other.items]),
            np.concatenate([self.values, other.values]),
            self.n_users,
            self.n_items,
            self.scale,
        )

    def rows(self, axis: Axis) -> Rows:
        """Return the ratings grouped by user (``axis="user"``) or by item, columns ascending."""
        keys, columns = along(axis, self.users, self.items)
        n_rows, n_columns = self.shape(axis)
        order = np.lexsort((columns, keys))
        starts = np.zeros(n_rows + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=n_rows), out=starts[1:])
        return Rows(starts, columns[order], order, n_columns)

    def shape(self, axis: Axis) -> tuple[int, int]:
        """Return the numbers of rows and columns of the matrix whose rows are users, or items."""
        return (self.n_users, self.n_items) if axis == "user" else (self.n_items, self.n_users)

    @cached_property
    def user_counts(self) -> npt.NDArray[np.int64]:
        """Number of ratings of each user, i64[U]."""
        return np.bincount(self.users, minlength=self.n_users)

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """Number of ratings of each item, i64[I]."""
        return np.bincount(self.items, minlength=self.n_items)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of users, items, values, sizes and a scale that is not from 1 to 5."""
        scale = "" if self.scale == STARS else f",{self.scale.low},{self.scale.high}"
        sha = hashlib.sha256(f"{self.n_users},{self.n_items}{scale}".encode())
        for array in (self.users, self.items, self.values):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


Parts = tuple[Ratings, Ratings, Ratings]
"""Training, validation and test ratings of one domain."""


@dataclass(frozen=True, eq=False)
class DomainPair:
    """The ratings of the same users in two domains that share no item (section 1).

    User u is the same person in both.
    """

    name: str
    source: Ratings
    target: Ratings
    user_ids: npt.NDArray[np.object_]
    source_item_ids: npt.NDArray[np.object_]
    target_item_ids: npt.NDArray[np.object_]
    source_marks: Marks = UNMARKED
    """The times of the source's ratings, and their parts in a split file."""
    target_marks: Marks = UNMARKED

    def __post_init__(self) -> None:
        if self.source.n_users != self.target.n_users:
            users = (self.source.n_users, self.target.n_users)
            raise ValueError(f"both domains must have the same users, but got {users}")
        for name, ids, size in (
            ("user_ids", self.user_ids, self.source.n_users),
            ("source_item_ids", self.source_item_ids, self.source.n_items),
            ("target_item_ids", self.target_item_ids, self.target.n_items),
        ):
            if len(ids) != size:
                raise ValueError(f"{name} must have {size} entries, but got {len(ids)}")
        for domain, ratings, marks in (
            ("source", self.source, self.source_marks),
            ("target", self.target, self.target_marks),
        ):
            for name, array in marks.columns.items():
                if len(array) != len(ratings):
                    rule = f"{name} of the {domain} must have {len(ratings)} entries"
                    raise ValueError(f"{rule}, but got {len(array)}")

    @property
    def digest(self) -> str:
        """SHA-256 over the ratings and marks of both domains; every result names its data by it."""
        domains = self.source.digest + self.target.digest
        marks = f"{self.source_marks.digest}|{self.target_marks.digest}"
        text = domains if marks == "|" else f"{domains}|{marks}"
        return hashlib.sha256(text.encode()).hexdigest()
