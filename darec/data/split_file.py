"""A split that somebody else made: a file that says which ratings train, validate and test.

It is read when a pair is prepared and kept with the pair, so that it is checked once and every
later command needs ``--split file`` alone. Shapes: N ratings of a domain, L lines of the file.
"""

import csv
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from darec.data.columns import NAMES, TwoColumns, named_columns, shown
from darec.data.delimited import line_of_row, read_delimited
from darec.data.json_lines import looks_like_json
from darec.data.layouts import DELIMITERS, Form
from darec.data.lines import is_plain, read_text, split_line
from darec.data.marks import PARTS, TEST, TRAIN, VALID, Marks
from darec.data.ratings import Domain, DomainPair, Parts, Ratings
from darec.data.text import PARQUET, begins_with
from darec.errors import UserError

COLUMNS = {
    "user": NAMES["user"],
    "item": NAMES["item"],
    "part": ({"part", "split", "subset"},),
    "domain": ({"domain"},),
}
"""The column names that a split file may use, as in `NAMES`."""
REQUIRED = {"user", "item", "part"}
WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "valid": VALID,
    "validation": VALID,
    "val": VALID,
    "dev": VALID,
    "test": TEST,
}
"""What a cell of the column ``part`` may say, in lower case."""
NO_PART = np.int8(-1)


def parts_of_file(ratings: Ratings, marks: Marks) -> Parts:
    """Return the parts that a split file gave to a domain's ratings."""
    assert marks.parts is not None  # `Holdout.check` has seen to it
    train, valid, test = (ratings.take(marks.parts == part) for part in (TRAIN, VALID, TEST))
    return train, valid, test


def with_parts(pair: DomainPair, path: Path) -> tuple[DomainPair, tuple[str, ...]]:
    """Return a pair whose ratings are marked with the parts that a file gives them, and its counts.

    The file is delimited text, plain or packed, with the columns user, item and part. A rating file
    that has a column ``split`` is one, too. All rows are about the target, unless a column
    ``domain`` says ``source`` or ``target`` for each row. Rows about ratings that are not in the
    pair are ignored.
    Raises `UserError` for a malformed row, a rating in two parts, an empty part, or a rating
    without a part. Only the source may be absent as a whole.
    """
    lines = _read(path)
    messages: list[str] = []
    marks = {"source": pair.source_marks, "target": pair.target_marks}
    domains: tuple[Domain, ...] = ("target", "source")
    for domain in domains:
        own = lines[lines["domain"] == domain]
        if len(own) or domain == "target":
            parts_N, n_others = _parts(pair, domain, own, path)
            marks[domain] = replace(marks[domain], parts=parts_N)
            counts = np.bincount(parts_N, minlength=len(PARTS))
            sizes = ", ".join(f"{n} {part}" for part, n in zip(PARTS, counts, strict=True))
            over = f"; {n_others} rows are about other ratings" if n_others else ""
            messages.append(f"{path}: {domain} {sizes}{over}")
    if marks["source"].parts is None:
        messages.append(
            f"{path}: does not name the source, which is divided at random over all times"
        )
    marked = replace(pair, source_marks=marks["source"], target_marks=marks["target"])
    return marked, tuple(messages)


def _parts(
    pair: DomainPair, domain: Domain, lines: pd.DataFrame, path: Path
) -> tuple[npt.NDArray[np.int8], int]:
    """Return the part of each rating of a domain, i8[N], and how many rows are about others."""
    ratings, item_ids = (
        (pair.target, pair.target_item_ids)
        if domain == "target"
        else (pair.source, pair.source_item_ids)
    )
    user_L, item_L = (
        pd.Index(ids).get_indexer(pd.Index(lines[name]))
        for name, ids in (("user", pair.user_ids), ("item", item_ids))
    )
    known_L = (user_L >= 0) & (item_L >= 0)
    cell_L = (user_L.astype(np.int64) * ratings.n_items + item_L)[known_L]
    part_L = lines["part"].to_numpy(np.int8)[known_L]
    cell_N = ratings.users.astype(np.int64) * ratings.n_items + ratings.items
    order = np.argsort(cell_N)
    at = order[np.minimum(np.searchsorted(cell_N[order], cell_L), len(order) - 1)]
    rated_L = cell_N[at] == cell_L
    parts_N = np.full(len(ratings), NO_PART)
    parts_N[at[rated_L]] = part_L[rated_L]
    wrong = parts_N[at[rated_L]] != part_L[rated_L]

    def named(position: int) -> str:
        user, item = pair.user_ids[ratings.users[position]], item_ids[ratings.items[position]]
        return f"e.g. user {shown(user)}, item {shown(item)}"

    if wrong.any():
        n, example = len(np.unique(at[rated_L][wrong])), named(int(at[rated_L][wrong][0]))
        raise UserError(f"{path}: {n} {domain} ratings are in two parts ({example})")
    if (missing := np.flatnonzero(parts_N == NO_PART)).size:
        message = f"{len(missing)} of {len(ratings)} {domain} ratings are in no part"
        raise UserError(
            f"{path}: {message} ({named(int(missing[0]))}); name each as one of train, valid "
            "and test"
        )
    for part, word in enumerate(PARTS):
        if not (parts_N == part).any():
            message = f"must name {domain} ratings for train, valid and test, but has no {word}"
            how = "; make some of its train ratings valid" if part == VALID else ""
            raise UserError(f"{path}: {message}{how}")
    return parts_N, len(lines) - int(rated_L.sum())


def _read(path: Path) -> pd.DataFrame:
    """Return the columns user, item, part (a position in `PARTS`) and domain of a split file."""
    beginning = begins_with(path)
    if beginning.startswith(PARQUET) or looks_like_json(beginning):
        kind = "Parquet" if beginning.startswith(PARQUET) else "JSON"
        raise UserError(f"{path}: a split file must be delimited text, CSV or TSV, but is {kind}")
    form = _form(path)
    read = read_delimited(path, form)
    table: pd.DataFrame = read.table.to_pandas()
    part = table["part"].astype(str).str.strip().str.lower().map(WORDS)
    domain = pd.Series("target", table.index)
    if "domain" in table:
        domain = table["domain"].astype(str).str.strip().str.lower()
    for name, bad, rule in (
        ("user", table["user"].isna(), "the user id must not be empty"),
        ("item", table["item"].isna(), "the item id must not be empty"),
        ("part", part.isna(), "must be train, valid or test"),
        ("domain", ~domain.isin(get_args(Domain)), "must be source or target"),
    ):
        if bad.any():
            row = int(bad.to_numpy().argmax())
            where = f"{path}, line {line_of_row(path, form, None, read.quotes, row)}, field {name}"
            raise UserError(f"{where}: {rule}, but got {shown(table[name].iloc[row] or '')}")
    table["part"], table["domain"] = part.astype(np.int8), domain
    return table


def _form(path: Path) -> Form:
    """Return how a split file is written; raises `UserError` unless its header names its columns.

    The delimiter is the first by which it does.
    """
    lines = ((number, line) for number, line in read_text(path) if line.strip())
    number, line = next(lines, (0, ""))
    if not line:
        raise UserError(f"{path}: a split file must have a header and rows, but it is empty")
    for delimiter in DELIMITERS:
        plain = is_plain(delimiter)
        header = (
            split_line(line, delimiter) if plain else next(csv.reader([line], delimiter=delimiter))
        )
        try:
            found = named_columns(header, COLUMNS)
        except TwoColumns as error:
            raise UserError(
                f"{path}, line {number}: a column must be named once: {error}"
            ) from error
        if found.keys() >= REQUIRED:
            return Form(delimiter, len(header), found, number, "", times_are_numbers=False)
    rule = "must be a header that names the columns user, item and part"
    raise UserError(f"{path}, line {number}: {rule}, but got {shown(line.rstrip())}")
