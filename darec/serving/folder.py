"""A model folder: written as a whole, and read without pickle and without the pair's own files.

It has ``model.json`` (`Card`), ``README.md``, the weights, the training ratings by user, in stars,
and the ids of users and items.
"""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from darec.core.hierarchical import HierarchicalBiases, hierarchical_biases, remember
from darec.core.recommender import Cache, MemoryCache, Weights
from darec.data.ratings import HIGHEST, LOWEST, Domain, DomainPair, Ratings
from darec.data.scale import Scale
from darec.data.split import Training
from darec.errors import UserError
from darec.files import digest_of, write, write_json
from darec.parsing import read_json
from darec.serving.card import FORMAT, Card, Counts, readme
from darec.serving.ids import Ids

WEIGHTS, RATINGS, CARD, README = (
    "model.safetensors",
    "ratings.safetensors",
    "model.json",
    "README.md",
)
IDS = {"user": "users.parquet", "item": "items.parquet", "source item": "source_items.parquet"}
FILES = {WEIGHTS, RATINGS, *IDS.values()}
"""What ``files`` of the card must name, and nothing else."""
STAGE = "stage1"
"""Weights of the first stages are named ``stage1.<n>.<name>``, in the order of their training."""
BIASES = "hierarchical"
"""The hierarchical biases of the training ratings are named ``hierarchical.<name>``."""
REMEDY = "fit the model again (darec fit)"
DOMAINS: tuple[Domain, ...] = ("source", "target")
DAMAGED = (SafetensorError, pa.ArrowException)
"""What reading a file may raise that is no weights, or no table."""


class RecordedStages:
    """A `Cache` that keeps what a model asks it for, in this order: its first stages."""

    def __init__(self, inner: Cache | None = None) -> None:
        self._inner = inner or MemoryCache()
        self.stages: list[Weights] = []

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the weights of a key."""
        self.stages.append(self._inner.get(key, compute))
        return self.stages[-1]


class StoredStages:
    """A `Cache` that returns kept first stages in the order in which a model asks for them."""

    def __init__(self, stages: list[Weights]) -> None:
        self._stages = iter(stages)

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the next first stage; raises ``KeyError`` if there is none."""
        try:
            return next(self._stages)
        except StopIteration:
            raise KeyError("the weights of a first stage are missing") from None


def save(
    folder: Path,
    card: Card,
    weights: Weights,
    stages: list[Weights],
    data: Training,
    ids: DomainPair,
) -> Path:
    """Write a model folder and return its path; an older folder is replaced as a whole.

    ``card.files`` is filled in. The hierarchical biases of the data are fitted, unless a model of
    the same data was. Raises `UserError` if the place is not a model folder, and for a weight whose
    name begins like those of the biases or of first stages.
    """
    for name in weights:
        if name.partition(".")[0] in (STAGE, BIASES):
            raise UserError(
                f"the name of weight {name!r} must not begin with {STAGE}. or {BIASES}."
            )
    if folder.exists() and not (folder / CARD).is_file():
        raise UserError(f"{folder}: must be absent or a model folder, but has no {CARD}")
    staging = _new_folder(folder)
    try:
        tensors = {f"{STAGE}.{n}.{name}": w for n, s in enumerate(stages) for name, w in s.items()}
        biases = hierarchical_biases(data).weights()
        tensors |= {f"{BIASES}.{name}": weight for name, weight in biases.items()}
        tensors |= weights
        plain = {name: w.detach().cpu().contiguous().clone() for name, w in tensors.items()}
        write(staging / WEIGHTS, lambda path: save_file(plain, path))
        by_user = {name: a for d in DOMAINS for name, a in _by_user(d, getattr(data, d)).items()}
        write(staging / RATINGS, lambda path: save_arrays(by_user, path))
        columns = (ids.user_ids, ids.target_item_ids, ids.source_item_ids)
        for name, column in zip(IDS.values(), columns, strict=True):
            table = pa.table({"id": pa.array(column, pa.string())})
            write(staging / name, partial(pq.write_table, table))
        digests = {name: digest_of(staging / name) for name in sorted(FILES)}
        write_card(staging, replace(card, files=digests))
        _swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def write_card(folder: Path, card: Card) -> None:
    """Write ``model.json`` and ``README.md``."""
    text = readme(card)
    write(folder / README, lambda path: path.write_text(text, encoding="utf-8"))
    write_json(folder / CARD, asdict(card))


def read_card(folder: Path) -> Card:
    """Read ``model.json``.

    Raises `UserError` if it is absent, malformed, of a later format, or names other files.
    """
    path = folder / CARD
    if not path.is_file():
        raise UserError(f"{folder}: no model folder, since it has no {CARD}; make one (darec fit)")
    _check_format(path)
    card = read_json(path, Card, remedy=REMEDY)
    if card.files.keys() != FILES:
        wrong = ", ".join(sorted(card.files.keys() ^ FILES))
        raise UserError(f"{path}: files must be exactly those of a folder, not {wrong}; {REMEDY}")
    return card


def read(folder: Path, card: Card) -> tuple[Weights, list[Weights], Training, dict[str, Ids]]:
    """Return a folder's weights, first stages, training ratings and ids.

    The hierarchical biases of the training ratings are remembered, so that nothing fits them again.
    Raises `UserError` for a file that is missing, damaged or of another model.
    """
    for name, digest in card.files.items():
        path = folder / name
        try:
            found = digest_of(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; {REMEDY}") from error
        if found != digest:
            message = f"damaged or of another model: its SHA-256 is not the one in {CARD}"
            raise UserError(f"{path}: {message}; {REMEDY}")
    # copied, because the file is mapped into memory and may be replaced while the model is in use
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
    own: Weights = {}
    biases: Weights = {}
    stages: dict[int, Weights] = {}
    for name, weight in tensors.items():
        kind, _, part = name.partition(".")
        if kind == STAGE:
            number, _, part = part.partition(".")
            stages.setdefault(int(number), {})[part] = weight
        elif kind == BIASES:
            biases[part] = weight
        else:
            own[name] = weight
    arrays = load_arrays(folder / RATINGS)
    ids = {kind: Ids(kind, _column(folder / name)) for kind, name in IDS.items()}
    n_items = {"source": len(ids["source item"]), "target": len(ids["item"])}
    parts = {d: _ratings(arrays, d, len(ids["user"]), n_items[d]) for d in DOMAINS}
    training = Training(**parts)
    if card.format > 1:
        _remember(training, HierarchicalBiases.of_weights(biases))
    return own, [stages[n] for n in sorted(stages)], training, ids


def _remember(training: Training, biases: HierarchicalBiases) -> None:
    """Use stored biases for these ratings; raises ``ValueError`` if their sizes do not match."""
    sizes = [len(biases.user_UE), *(len(biases.items[d].item_I) for d in DOMAINS)]
    wanted = [training.target.n_users, *(training.of(d).n_items for d in DOMAINS)]
    if sizes != wanted:
        raise ValueError(f"the hierarchical biases are of {sizes} users and items, not {wanted}")
    remember(training, biases)


def _check_format(path: Path) -> None:
    """Raise `UserError` if a later version of darec wrote the card."""
    try:
        written = json.loads(path.read_bytes()).get("format")
    except (OSError, ValueError, AttributeError, RecursionError):
        return  # the strict reader says what is wrong
    if isinstance(written, int) and written > FORMAT:
        message = f"a later version of darec wrote it (format {written}, this one reads {FORMAT})"
        raise UserError(f"{path}: {message}; update darec")


def _by_user(domain: Domain, ratings: Ratings) -> dict[str, np.ndarray[Any, Any]]:
    """Return a domain's ratings as a CSR matrix of users, and their scale."""
    rows = ratings.rows("user")
    return {
        f"{domain}.starts": rows.starts,
        f"{domain}.items": rows.columns,
        f"{domain}.values": np.ascontiguousarray(ratings.values[rows.order]),
        f"{domain}.scale": np.array([ratings.scale.low, ratings.scale.high]),
    }


def _ratings(
    arrays: Mapping[str, np.ndarray[Any, Any]], domain: Domain, n_users: int, n_items: int
) -> Ratings:
    scale = Scale(*map(float, arrays.get(f"{domain}.scale", (LOWEST, HIGHEST))))  # not in format 1
    starts, items, values = (arrays[f"{domain}.{part}"] for part in ("starts", "items", "values"))
    users = np.repeat(np.arange(n_users, dtype=np.int32), np.diff(starts))
    return Ratings(users, items, values, n_users, n_items, scale)


def _column(path: Path) -> "np.ndarray[Any, np.dtype[np.object_]]":
    column = pq.read_table(path)["id"]
    if column.type != pa.string() or column.null_count:
        raise ValueError(f"{path.name} must have strings only")
    ids: np.ndarray[Any, np.dtype[np.object_]] = column.to_numpy().astype(object)
    return ids


def check_counts(card: Card, data: Training) -> None:
    """Raise ``ValueError`` if a card tells of other data than the folder's, or another scale."""
    for scale, ratings in ((card.scale, data.target), (card.source_scale, data.source)):
        if scale != ratings.scale:
            raise ValueError(f"{CARD} tells of ratings from {scale}, but they are {ratings.scale}")
    if card.counts != counts_of(data):
        raise ValueError(f"{CARD} tells of {card.counts}, but there are {counts_of(data)}")


def counts_of(data: Training) -> Counts:
    """Return the size of the training data."""
    return Counts(
        users=data.target.n_users,
        source_items=data.source.n_items,
        target_items=data.target.n_items,
        source_ratings=len(data.source),
        target_ratings=len(data.target),
    )


def _new_folder(folder: Path) -> Path:
    """Make an empty folder beside another one."""
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    beside.mkdir(parents=True)
    return beside


def _swap(new: Path, folder: Path) -> None:
    """Put a new folder in the place of an older one. A reader meets one of them, or neither."""
    if folder.exists():
        old = _new_folder(folder)
        folder.rename(old / "old")
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(folder)
