"""Which column of a rating file is the user, the item, the rating and the time."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from darec.data.ratings import Domain
from darec.errors import UserError

Role = Literal["user", "item", "rating", "time"]
ROLES: tuple[Role, ...] = ("user", "item", "rating", "time")
REQUIRED = {"user", "item", "rating"}
Columns = Mapping[str, str]
"""The column of each role that is named by hand: its name, or its position from 1."""
RULE = "--columns must be ROLE=NAME,... of user, item, rating, time, or source.user and so on"
NO_TIME = "none"
"""Stands for a column of times that is not to be read."""
SHOWN = 80
"""Most characters of a file that a message repeats."""

NAMES: dict[str, tuple[set[str], ...]] = {
    "user": (
        {"userid", "uid", "reviewerid", "customerid", "memberid", "usermd5", "authorid", "raterid"},
        {"user", "reviewer", "customer", "member", "rater", "author"},
        {"username", "reviewername", "profilename", "reviewprofilename", "nickname"},
    ),
    "item": (
        {"itemid", "iid", "parentasin"}
        | {f"{kind}id" for kind in ("product", "movie", "book", "business", "anime", "game", "app")}
        | {f"{kind}id" for kind in ("music", "song", "track", "artist", "album", "show", "film")}
        | {f"{kind}id" for kind in ("recipe", "joke", "beer", "hotel", "restaurant", "place")}
        | {"beerbeerid", "isbn", "gmapid", "venueid", "listingid", "courseid", "articleid"},
        {"asin"},
        {"item", "product", "movie", "book", "game", "song", "artist", "anime"},
    ),
    "rating": (
        {"rating", "ratings", "overall", "stars", "starrating", "bookrating", "userrating"}
        | {"reviewrating", "reviewoverall", "movierating", "overallrating"}
        | {"score", "reviewscore", "userscore"},
        {"isrecommended", "recommended", "liked"},
    ),
    "time": (
        {"timestamp"},
        {"unixreviewtime"},
        {"ratingtimestamp", "ratingtime", "ratedat", "ratingdate"},
        {"time", "unixtime"},
        {"date", "datetime"},
        {"reviewdate", "reviewtime", "reviewdatetime"},
        {"dateupdated", "updatedat"},
        {"dateadded", "createdat", "created"},
    ),
}
"""The names that a header may use. Letters and digits alone are compared, in lower case. Names of
an earlier set go before those of a later one: an id before a name, and Amazon's ``parent_asin``
before ``asin``, as its authors advise."""


class TwoColumns(ValueError):
    """Two columns of a file may have one role."""


def plain_name(cell: str) -> str:
    """Return a column's name as it is compared; RecBole adds a type after a colon."""
    return "".join(each for each in cell.split(":")[0].lower() if each.isalnum())


def named_columns(
    header: Sequence[str], names: Mapping[str, Sequence[Collection[str]]] = NAMES
) -> dict[str, int]:
    """Return the position of the column of each role that a header names.

    Raises `TwoColumns` where a set has names of two columns, as ``rating`` and ``score``.
    """
    found: dict[str, int] = {}
    plain = [plain_name(cell) for cell in header]
    for role, ranks in names.items():
        for rank in ranks:
            positions = [n for n, name in enumerate(plain) if name in rank]
            if len(positions) > 1:
                raise TwoColumns(_twice(role, [header[n] for n in positions]))
            if positions:
                found[role] = positions[0]
                break
    return found


def chosen_columns(header: Sequence[str], columns: Columns | None) -> dict[str, int]:
    """Return the position of each role's column, where a choice by hand goes before the names.

    ``header`` has the names of the columns. Raises `ValueError` for a column that is not there, and
    `TwoColumns` like `named_columns`.
    """
    columns = columns or {}
    open_roles = {role: ranks for role, ranks in NAMES.items() if role not in columns}
    found = {
        role: _position(header, role, column)
        for role, column in columns.items()
        if not (role == "time" and column == NO_TIME)
    }
    taken = set(found.values())
    if len(taken) != len(found):
        raise ValueError(f"--columns must name a column once, but got {shown(dict(columns))}")
    rest = ["" if n in taken else cell for n, cell in enumerate(header)]
    return {**named_columns(rest, open_roles), **found}


def required_columns(header: Sequence[str], columns: Columns | None) -> dict[str, int]:
    """Return `chosen_columns`; raises `ValueError` also where user, item or rating has none."""
    found = chosen_columns(header, columns)
    missing = [role for role in ROLES if role in REQUIRED - found.keys()]
    if missing:
        say = ",".join(f"{role}=NAME" for role in missing)
        rule = f"must have a column for the {missing[0]}"
        raise ValueError(f"{rule}, but has {shown(list(header))}; say it: --columns {say}")
    return found


def parse_columns(text: str | None) -> dict[str, str] | None:
    """Return ``user=a,item=b`` as a mapping; raises `UserError` for another form."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for part in text.split(","):
        role, equals, name = (each.strip() for each in part.partition("="))
        if not equals or role in found:
            raise UserError(f"{RULE}, but got {shown(text)}")
        found[role] = name
    return found


def columns_of(domain: Domain, columns: Columns | None) -> Columns | None:
    """Return the columns that are named for one domain, or for both.

    Raises `UserError` for another role, an empty name, and a column that has two roles.
    """
    if columns is None:
        return None
    known = {f"{prefix}{role}" for role in ROLES for prefix in ("", "source.", "target.")}
    if not columns.keys() <= known or not all(columns.values()):
        raise UserError(f"{RULE}, but got {shown(dict(columns))}")
    of_both: dict[str, str] = {role: columns[role] for role in ROLES if role in columns}
    found = of_both | {r: columns[f"{domain}.{r}"] for r in ROLES if f"{domain}.{r}" in columns}
    if len(set(found.values())) != len(found):
        raise UserError(f"--columns must name a column once, but got {shown(found)}")
    return found


def columns_sentence(path: object, header: Sequence[str] | None, found: Mapping[str, int]) -> str:
    """Return the sentence that says which column is read as what."""
    parts = [
        f"{role} = {header[n].strip()!r}{_passed(header, role, found)}"
        if header
        else f"{role} = column {n + 1}"
        for role in ROLES
        if (n := found.get(role)) is not None
    ]
    return f"{path}: {', '.join(parts)}{'' if 'time' in found else ', no times'}"


def _passed(header: Sequence[str], role: str, found: Mapping[str, int]) -> str:
    """Return which other columns might have a role, in brackets."""
    names = set().union(*NAMES[role])
    others = [
        cell.strip()
        for n, cell in enumerate(header)
        if plain_name(cell) in names and n not in found.values()
    ]
    return f" (not {', '.join(map(repr, others))})" if others else ""


def shown(value: object) -> str:
    """Return a value of a file for a message, which stays short however long the value is."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _position(header: Sequence[str], role: str, column: str) -> int:
    positions = [n for n, cell in enumerate(header) if cell.strip() == column]
    if len(positions) > 1:
        raise ValueError(f"{role}={column} must be one column, but {len(positions)} have that name")
    if positions:
        return positions[0]
    if column.isascii() and column.isdigit() and 1 <= int(column) <= len(header):
        return int(column) - 1
    raise ValueError(f"{role}={column} must be a column, but the columns are {shown(list(header))}")


def _twice(role: str, cells: Sequence[str]) -> str:
    both = " and ".join(repr(cell.strip()) for cell in cells[:2])
    return f"both {both} may be the {role}; say which: --columns {role}=NAME"
