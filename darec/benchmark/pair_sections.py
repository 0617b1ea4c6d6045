"""The sections of the benchmark that search on the ratings of a pair, or of several."""

from collections.abc import Callable, Iterator
from pathlib import Path

from darec.benchmark.core import Figure
from darec.data.ratings import DomainPair
from darec.data.split import split
from darec.data.store import obtain
from search_spaces import SPACES


def _samplers(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches of three cheap models with every sampler, three seeds."""
    from darec.benchmark.samplers import samplers

    prepared = _one(pair, data)
    splits = [split(prepared, seed=seed).search for seed in range(1 if quick else 3)]
    models = ("bias", "shared_bias") if quick else ("bias", "shared_bias", "item_knn")
    spaces = {model: SPACES[model] for model in models}
    yield from samplers(spaces, splits, trials=10 if quick else 40, epochs=60)


def _starts(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches with and without the winners of other pairs as further starts."""
    from darec.benchmark.starts import one_search, starts

    pairs = {prepared.name: split(prepared).search for prepared in _several(pair, data)}
    models = [name for name in SPACES if SPACES[name].start]
    for model in ("bias", "shared_bias") if quick else models:
        yield from starts(model, one_search(model), pairs, *((5, 4) if quick else (12, 40)))


def _algorithms(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches of I-AutoRec without a good guess, with samplers and schedulers, five seeds."""
    from darec.benchmark.algorithms import algorithms

    prepared = _one(pair, data)
    splits = [split(prepared, seed=seed).search for seed in range(1 if quick else 5)]
    sizes = (3, 4) if quick else (14, 24)
    yield from algorithms("i_autorec", SPACES["i_autorec"], splits, *sizes)


def _warm_start(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches of I-AutoRec that first try the winners of other pairs, five seeds."""
    from darec.benchmark.algorithms import warm_start

    seeds = range(1 if quick else 5)
    pairs = {
        prepared.name: [split(prepared, seed=seed).search for seed in seeds]
        for prepared in _several(pair, data)
    }
    sizes = (3, 4) if quick else (14, 24)
    yield from warm_start("i_autorec", SPACES["i_autorec"], pairs, *sizes)


def _rejudge(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Winners that are judged again, and winners of more trials instead, five splits."""
    from darec.benchmark.rejudge import rejudge

    prepared = _one(pair, data)
    sizes = {model: (5, 40, 60) for model in ("bias", "shared_bias", "item_knn")}
    sizes["i_autorec"] = (5, 20, 30)  # a network trains for seconds
    for model, own in {"bias": (2, 3, 4)}.items() if quick else sizes.items():
        yield from rejudge(model, SPACES[model], prepared, *own)


def _flat(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches that end when more trials are not worth it, three seeds."""
    from darec.benchmark.flat import flat

    prepared = _one(pair, data)
    splits = [split(prepared, seed=seed).search for seed in range(1 if quick else 3)]
    for model in ("bias",) if quick else ("bias", "shared_bias", "item_knn", "i_autorec"):
        yield from flat(model, SPACES[model], splits, *((25, 4) if quick else (50, 60)))


def _quality(quick: bool, pair: str | None, data: Path) -> Iterator[Figure]:
    """Searches of I-DARec, three seeds."""
    from darec.benchmark.search import time_to_quality
    from darec.tuning.cluster.connection import connected

    prepared = _one(pair, data)
    space = SPACES["i_darec"].fix({"pyramid": 1.0, "predictors": "own"})
    with connected(None):
        for seed in range(1 if quick else 3):
            searched = split(prepared, seed=seed).search
            sizes = (4, 5) if quick else (24, 30)
            yield from time_to_quality(searched, space, *sizes, seed)


def _one(pair: str | None, data: Path) -> DomainPair:
    """Return the pair of this name; a synthetic one by default."""
    return obtain(pair or "toys_auto", data, synthetic=pair is None)


def _several(pair: str | None, data: Path) -> list[DomainPair]:
    """Return the pairs whose names were given with commas; synthetic ones by default."""
    names = pair.split(",") if pair else ["toys_auto", "apps_games"]
    return [obtain(name, data, synthetic=pair is None) for name in names]


OF_PAIR: dict[str, Callable[[bool, str | None, Path], Iterator[Figure]]] = {
    "samplers": _samplers,
    "starts": _starts,
    "algorithms": _algorithms,
    "warm_start": _warm_start,
    "rejudge": _rejudge,
    "flat": _flat,
    "quality": _quality,
}
"""How each section of a pair's ratings is measured."""
