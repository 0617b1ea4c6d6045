"""Prepared pairs on disk, and the one way to get a pair by its name."""

import errno
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import pooch
import pyarrow as pa
import pyarrow.parquet as pq

from darec.data.download import fetch
from darec.data.drop_twins import Dropped, drop_twins
from darec.data.holdout import Holdout
from darec.data.layouts import AS_RECOGNISED, ReadOptions
from darec.data.marks import Marks
from darec.data.pairs import NOTHING, PAIRS, build_pair
from darec.data.ratings import SHUFFLED, SYNTHETIC, Domain, DomainPair, Ratings
from darec.data.readers import list_files, read_ratings
from darec.data.scale import STARS, Scale
from darec.data.scales import Scales, scale_of
from darec.data.selection import AS_THE_PAPER, ItemIds, Removed, Selection
from darec.data.split import split
from darec.data.split_file import with_parts
from darec.data.synthetic import synthetic_pair
from darec.errors import UserError
from darec.files import write
from darec.reporter import SILENT, Reporter

IDS = ("user_ids", "source_item_ids", "target_item_ids")
"""The arrays of ids of a `DomainPair`."""
ABOUT = "pair.json"
"""Says in a pair's file where the pair is from, and has its digest."""
ZIP_FAULTS = (OSError, EOFError, RuntimeError, BadZipFile, zlib.error)
FAULTS = (*ZIP_FAULTS, pa.ArrowException, ValueError, KeyError, TypeError)
"""What reading a damaged file may raise."""


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
    path = pair_file(data, name)
    if path.is_file():
        return load(path)
    if name not in PAIRS:
        known = ", ".join(sorted({*PAIRS, *_prepared(data)}))
        how = f"darec prepare --source FILE --target FILE --name {name}"
        if path.with_suffix("").is_dir():
            older = f"{path.with_suffix('')}: an earlier version prepared this pair as a folder"
            raise UserError(f"{older}; prepare it again with {how}")
        raise UserError(
            f"no pair {name!r} under {data}; known: {known}; prepare your own with {how}"
        )
    reporter.line(f"{name} is not prepared yet, so it is downloaded and prepared first")
    return prepare(name, data, *amazon_files(name, data, reporter=reporter)).pair


@dataclass(frozen=True)
class Prepared:
    """A prepared pair, and what was done to make it."""

    pair: DomainPair
    rules: Selection
    removed: Removed
    notes: tuple[str, ...]
    """Which column of each file was read as what, and what a split file says."""
    scale_notes: tuple[str, ...]
    """On which scale each domain's ratings lie."""
    twins: Dropped | None = None
    """What `drop_twins` left out; None if it was not asked to."""


Files = Path | Sequence[Path]
"""A file, a folder of files, or several of them."""


def prepare(
    name: str,
    data: Path,
    source: Files,
    target: Files,
    rules: Selection = AS_THE_PAPER,
    options: ReadOptions = AS_RECOGNISED,
    without_twins: bool = False,
    scales: tuple[Scale | None, Scale | None] = (None, None),
    split_file: Path | None = None,
) -> Prepared:
    """Read both domains' files, build the pair and save it; an older pair of that name is replaced.

    With ``without_twins`` one item of each group of copies is kept (`drop_twins`). The ``scales``
    of source and target are found from the ratings where they are None. A split file says which
    ratings train, validate and test (`with_parts`).
    Raises `UserError` for a bad name, a bad file, or files that share too few users or ratings.
    """
    if name.endswith((SYNTHETIC, SHUFFLED)):
        rule = f"must not end in {SYNTHETIC} or {SHUFFLED}, which mark pairs that darec makes"
        raise UserError(f"a pair's name {rule}, but got {name!r}")
    path = pair_file(data, name)
    files = {"source": list_files(source), "target": list_files(target)}
    raw = (
        read_ratings(files["source"], options.of("source")),
        read_ratings(files["target"], options.of("target")),
    )
    found = [
        scale_of(domain, each, scale, rules.unrated)
        for domain, each, scale in zip(files, raw, scales, strict=True)
    ]
    of_each = Scales(*(scale for scale, _ in found))
    without, dropped = NOTHING, None
    if without_twins:
        of_all = replace(rules, sample_users=None)  # twins are those of all users

        def build(items: Mapping[Domain, ItemIds]) -> DomainPair:
            nonlocal without
            without = items
            return build_pair(name, *raw, of_all, items, of_each)[0]

        _, dropped = drop_twins(build(NOTHING), build)
    pair, removed = build_pair(name, *raw, rules, without, of_each)
    notes = raw[0].notes + raw[1].notes
    if split_file is not None:
        pair, part_notes = with_parts(pair, split_file)
        notes += part_notes
    # A pair that is too small to be divided is not saved.
    split(pair, Holdout() if split_file is None else Holdout(split="file"))
    provenance = {
        **{domain: [_provenance(file) for file in files[domain]] for domain in files},
        "selection": asdict(rules),
        "reading": asdict(options),
        "read_as": list(notes),
        "split_file": None if split_file is None else _provenance(split_file),
        "drop_twins": without_twins,
        "removed": asdict(removed),
        "twins": None if dropped is None else asdict(dropped),
    }
    save(pair, path, provenance)
    return Prepared(pair, rules, removed, notes, tuple(line for _, line in found), dropped)


def _provenance(file: Path) -> dict[str, str]:
    return {"file": str(file), "sha256": pooch.file_hash(str(file))}


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


def pair_file(data: Path, name: str) -> Path:
    """Return ``<data>/pairs/<name>.zip``; raises `UserError` for a name that cannot be a file's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        rule = "only letters, digits, '_', '.' and '-', and begin with a letter or digit"
        raise UserError(f"a pair's name must have {rule}, but got {name!r}")
    return data / "pairs" / f"{name}.zip"


def save(pair: DomainPair, path: Path, provenance: dict[str, Any]) -> None:
    """Write a pair's file: a zip of the ratings and ids as Parquet files, and of ``pair.json``.

    The ratings are stars, as in memory; ``pair.json`` has their scales.

    An older file is replaced as a whole, so that nobody reads parts of two pairs.
    """
    tables = {part: pa.table({"id": getattr(pair, part)}) for part in IDS}
    for domain, ratings, marks in (
        ("source", pair.source, pair.source_marks),
        ("target", pair.target, pair.target_marks),
    ):
        columns = {"user": ratings.users, "item": ratings.items, "rating": ratings.values}
        tables[domain] = pa.table({**columns, **marks.columns})
    scales = {"source": asdict(pair.source.scale), "target": asdict(pair.target.scale)}
    about = json.dumps({"digest": pair.digest, "scales": scales, **provenance}, indent=2)

    def write_zip(temporary: Path) -> None:
        with ZipFile(temporary, "w") as parts:
            for name, table in tables.items():
                with parts.open(f"{name}.parquet", "w", force_zip64=True) as part:
                    pq.write_table(table, part)
            parts.writestr(ABOUT, about)

    write(path, write_zip)


def load(path: Path) -> DomainPair:
    """Read a saved pair; raises `UserError` if its file is missing or damaged."""
    part = ""
    try:
        with ZipFile(path) as parts:
            ids, ratings, marks = {}, {}, {}
            part = ABOUT
            about = json.loads(parts.read(ABOUT))
            digest, scales = about["digest"], about.get("scales", {})
            for part in IDS:
                ids[part] = _table(parts, part)["id"].to_numpy()
            for part in ("source", "target"):
                table = _table(parts, part)
                columns = {name: table[name].to_numpy() for name in table.column_names}
                users, items, values = (columns.pop(name) for name in ("user", "item", "rating"))
                sizes = len(ids["user_ids"]), len(ids[f"{part}_item_ids"])
                scale = Scale(**scales[part]) if part in scales else STARS
                ratings[part] = Ratings(users, items, values, *sizes, scale)
                marks[part] = Marks(**columns)
        domains = ratings["source"], ratings["target"]
        pair = DomainPair(
            path.stem, *domains, **ids, source_marks=marks["source"], target_marks=marks["target"]
        )
        if digest != pair.digest:
            raise ValueError("the ratings differ from those that were saved (another digest)")
    except FAULTS as error:
        if getattr(error, "errno", None) == errno.ESTALE:
            return load(path)  # another machine replaced the file meanwhile (NFS)
        raise _damaged(path, part, error) from error
    return pair


def provenance(path: Path) -> dict[str, Any]:
    """Return what ``pair.json`` in a pair's file says; raises `UserError` if it is damaged."""
    try:
        with ZipFile(path) as parts:
            about: dict[str, Any] = json.loads(parts.read(ABOUT))
    except FAULTS as error:
        raise _damaged(path, ABOUT, error) from error
    return about


def _table(parts: ZipFile, name: str) -> pa.Table:
    """Return one table of a pair's file; its checksum is compared."""
    return pq.read_table(pa.BufferReader(parts.read(f"{name}.parquet")))


def _damaged(path: Path, part: str, error: Exception) -> UserError:
    reason = " ".join(f"{part}: {error}".split())
    return UserError(f"{path}: not a prepared pair: {reason}; delete it and prepare it again")


def _prepared(data: Path) -> list[str]:
    return [path.stem for path in (data / "pairs").glob("*.zip") if path.name[0] != "."]


def counts(pair: DomainPair) -> dict[str, int]:
    """Return the numbers of users, items and ratings, named as in `darec.paper.Counts`."""
    return {
        "users": len(pair.user_ids),
        "source_items": pair.source.n_items,
        "target_items": pair.target.n_items,
        "source_ratings": len(pair.source),
        "target_ratings": len(pair.target),
    }
