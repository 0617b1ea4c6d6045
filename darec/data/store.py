"""Prepared pairs on disk, and the one way to get a pair by its name."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pooch
import pyarrow as pa
import pyarrow.parquet as pq

from darec.data.download import fetch
from darec.data.layouts import Layout
from darec.data.pairs import PAIRS, MinIn, Preparation, build_pair
from darec.data.ratings import DomainPair, Ratings
from darec.data.readers import read_ratings
from darec.data.synthetic import synthetic_pair
from darec.errors import UserError
from darec.files import write_json
from darec.reporter import SILENT, Reporter

MIN_RATINGS = 5
"""The paper's filter (section 4.1), which may be meant for each domain or for the total."""


def obtain(
    name: str,
    data: Path,
    synthetic: bool = False,
    reporter: Reporter = SILENT,
) -> DomainPair:
    """Return a pair by its name: read from ``data``, generated, or prepared now.

    The synthetic stand-ins of Table 1's pairs are generated anew each time. One of Table 1's pairs
    that is not prepared yet is downloaded and prepared with the default filter.
    Raises `UserError` for an unknown name; the message lists the known ones.
    """
    if synthetic:
        if name not in PAIRS:
            rule = f"only the pairs of Table 1 ({', '.join(PAIRS)}) have a synthetic stand-in"
            raise UserError(f"--synthetic: {rule}, but got {name!r}")
        return synthetic_pair(name)
    folder = pair_folder(data, name)
    if folder.is_dir():
        return load(folder)
    if name not in PAIRS:
        known = ", ".join(sorted({*PAIRS, *_prepared(data)}))
        how = f"darec prepare --source FILE --target FILE --name {name}"
        raise UserError(
            f"no pair {name!r} under {data}; known: {known}; prepare your own with {how}"
        )
    reporter.line(f"{name} is not prepared yet, so it is downloaded and prepared first")
    return prepare(name, data, *amazon_files(name, data, reporter=reporter))[0]


def prepare(
    name: str,
    data: Path,
    source: Path,
    target: Path,
    min_ratings: int = MIN_RATINGS,
    min_in: MinIn = "each",
    layout: Layout | None = None,
) -> tuple[DomainPair, Preparation]:
    """Read two rating files, build the pair and save it; an older pair of that name is replaced.

    Raises `UserError` for a bad name, a bad file, or files that share too few users.
    """
    folder = pair_folder(data, name)
    pair, preparation = build_pair(
        name, read_ratings(source, layout), read_ratings(target, layout), min_ratings, min_in
    )
    provenance = {
        "source": {"file": str(source), "sha256": pooch.file_hash(str(source))},
        "target": {"file": str(target), "sha256": pooch.file_hash(str(target))},
        "min_ratings": min_ratings,
        "min_ratings_in": min_in,
        "removed": vars(preparation),
    }
    save(pair, folder, provenance)
    return pair, preparation


def amazon_files(
    name: str,
    data: Path,
    year: int = 2014,
    accept_changed: bool = False,
    reporter: Reporter = SILENT,
) -> tuple[Path, Path]:
    """Return the source's and the target's category file of a pair of Table 1.

    Files that are not under ``data`` yet are downloaded; see `fetch`.
    """
    files = PAIRS[name]
    source, target = (
        fetch(
            category,
            year,
            data / "raw",
            name,
            accept_changed=accept_changed,
            reporter=reporter,
        )
        for category in (files.source, files.target)
    )
    return source, target


def pair_folder(data: Path, name: str) -> Path:
    """Return ``<data>/pairs/<name>``; raises `UserError` for a name that cannot be a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name.endswith("-synthetic"):
        rule = "only letters, digits, '_', '.' and '-', begin with a letter or digit"
        raise UserError(
            f"a pair's name must have {rule}, and not end in -synthetic, but got {name!r}"
        )
    return data / "pairs" / name


def save(pair: DomainPair, folder: Path, provenance: dict[str, Any]) -> None:
    """Write a pair's folder: the ratings and ids as Parquet files, and ``pair.json``.

    The folder appears under its name only once it is complete.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for domain, ratings in (("source", pair.source), ("target", pair.target)):
            columns = {"user": ratings.users, "item": ratings.items, "rating": ratings.values}
            pq.write_table(pa.table(columns), temporary / f"{domain}.parquet")
        for part in ("user_ids", "source_item_ids", "target_item_ids"):
            pq.write_table(pa.table({"id": getattr(pair, part)}), temporary / f"{part}.parquet")
        write_json(temporary / "pair.json", {"digest": pair.digest, **provenance})
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(folder: Path) -> DomainPair:
    """Read a saved pair; raises `UserError` with the file that is missing or damaged."""
    path = folder
    try:
        ids = {}
        for part in ("user_ids", "source_item_ids", "target_item_ids"):
            path = folder / f"{part}.parquet"
            ids[part] = pq.read_table(path)["id"].to_numpy()
        ratings = {}
        for domain in ("source", "target"):
            path = folder / f"{domain}.parquet"
            users, items, values = (column.to_numpy() for column in pq.read_table(path).columns)
            n_users, n_items = len(ids["user_ids"]), len(ids[f"{domain}_item_ids"])
            ratings[domain] = Ratings(users, items, values, n_users, n_items)
        path = folder / "pair.json"
        digest = json.loads(path.read_text())["digest"]
        pair = DomainPair(folder.name, ratings["source"], ratings["target"], **ids)
        if digest != pair.digest:
            raise ValueError("the ratings differ from those that were saved (another digest)")
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        how = f"delete {folder} and prepare it again"
        raise UserError(f"{path}: not a prepared pair: {error}; {how}") from error
    return pair


def _prepared(data: Path) -> list[str]:
    folder = data / "pairs"
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return [name for name in names if not name.startswith(".")]


def counts(pair: DomainPair) -> dict[str, int]:
    """Return the numbers of users, items and ratings, named as in `darec.paper.Counts`."""
    return {
        "users": len(pair.user_ids),
        "source_items": pair.source.n_items,
        "target_items": pair.target.n_items,
        "source_ratings": len(pair.source),
        "target_ratings": len(pair.target),
    }
