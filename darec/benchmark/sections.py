"""The sections of the benchmark. Each yields figures that are compared with a reference."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pandas as pd
import torch

from darec.benchmark.core import Figure
from darec.benchmark.names import SECTIONS
from darec.benchmark.pair_sections import OF_PAIR
from darec.errors import UserError
from darec.files import write_json
from darec.reporter import Reporter


def measure(
    section: str, *, quick: bool, pair: str | None, data: Path, out: Path, reporter: Reporter
) -> list[Figure]:
    """Measure one section or ``all``; write and return the figures.

    ``benchmark.json`` in ``out`` is written anew after every figure. ``all`` includes ``gpu`` if
    there is a CUDA device. Raises `UserError` if ``gpu`` is asked for without one.
    """
    torch.set_num_threads(1)
    has_gpu = torch.cuda.is_available()
    if section == "gpu" and not has_gpu:
        raise UserError("--section gpu: no CUDA device is available here")
    chosen = [section] if section != "all" else [n for n in SECTIONS if n != "gpu" or has_gpu]
    reporter.line(f"Plan: {', '.join(chosen)}; 1 to 30 minutes a section")
    figures: list[Figure] = []
    for name in chosen:
        begin = len(figures)
        of_pair = OF_PAIR.get(name)
        for figure in of_pair(quick, pair, data) if of_pair else MEASURES[name](quick):
            reporter.line(f"  {figure.name}: {figure.ratio:.1f}x")
            figures.append(figure)
            write_json(out / "benchmark.json", [asdict(each) for each in figures])
        reporter.table(name, _table(figures[begin:]))
    reporter.line(f"written: {out / 'benchmark.json'}")
    return figures


def _table(figures: list[Figure]) -> pd.DataFrame:
    rows = {
        each.name: {
            "ours": f"{each.value:.3g} {each.unit}",
            "reference": f"{each.reference:.3g} {each.unit}",
            "times better": f"{each.ratio:.2f}x",
        }
        for each in figures
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("figure")


def _core(quick: bool) -> Iterator[Figure]:
    """An epoch of each model: toys_auto's source for AutoRec, both domains for DARec."""
    from darec.benchmark.core import autorec_epoch, darec_epoch, training_of
    from darec.core.adam import Decay
    from darec.data.ratings import Axis

    training, repeats = training_of("toys_auto"), 1 if quick else 5
    for axis in get_args(Axis):
        for decay in get_args(Decay):
            yield autorec_epoch(training.source, axis, decay, repeats)
        yield darec_epoch(training, axis, repeats)


def _center(quick: bool) -> Iterator[Figure]:
    """The hierarchical biases of more and more ratings, up to 10 million in each domain."""
    from darec.benchmark.center import fits

    yield from fits((10**4, 10**5) if quick else (10**5, 10**6, 10**7))


def _gpu(quick: bool) -> Iterator[Figure]:
    """A GPU: correctness, memory, epochs, and trials that share it, in about eight minutes."""
    from darec.benchmark import gpu
    from darec.tuning.cluster.connection import connected

    with connected(None):
        yield from gpu.within(gpu.LONGEST_S, gpu.parts(quick))


def _growth(quick: bool) -> Iterator[Figure]:
    """Every step on up to 3 million ratings; epochs of AutoRec with either decay."""
    from darec.benchmark.core import Grows, growth
    from darec.benchmark.steps import SIZES, steps
    from darec.core.adam import Decay
    from darec.data.ratings import Axis

    for grows in get_args(Grows):
        for decay in get_args(Decay):
            for axis in get_args(Axis):
                yield from growth(axis, decay, grows, (1, 4) if quick else (1, 4, 16))
    yield from steps(SIZES[:2] if quick else SIZES)


def _fits(quick: bool) -> Iterator[Figure]:
    """A fit of every model in the middle of its search space, on synthetic office_movies."""
    from darec.benchmark.models import fits
    from darec.models import MODELS
    from darec.models.libraries import library
    from darec.tuning.study.request import middle
    from search_spaces import SPACES

    names = ["i_autorec", *(name for name in MODELS if name != "i_autorec")]
    configs = {name: middle(SPACES[name]) for name in names}
    for name, config in configs.items():
        first = MODELS[name].stage1
        if first:
            config[first.field] = {**configs[first.model], first.epochs: 30}
    library("surprise", "scikit-surprise")
    library("myfm", "myfm")
    yield from fits(configs, "toys_auto" if quick else "office_movies")


def _transfer(quick: bool) -> Iterator[Figure]:
    """Cross-domain models with the source as it is, and with its users shuffled."""
    from darec.benchmark.transfer import CONFIGS, informative, transfers
    from darec.models.libraries import library

    library("myfm", "myfm")
    yield from transfers(CONFIGS, 10 if quick else 60, informative())


def _new_users(quick: bool) -> Iterator[Figure]:
    """Predictions for people whom the models have not seen in training."""
    from darec.benchmark.new_users import FOLDS_IN, new_users
    from darec.benchmark.transfer import informative
    from darec.models.libraries import library

    library("surprise", "scikit-surprise")
    library("myfm", "myfm")
    yield from new_users(FOLDS_IN, 10 if quick else 40, informative())


def _memory(quick: bool) -> Iterator[Figure]:
    """Peak memory of AutoRec on office_movies' target, hidden 1500."""
    from darec.benchmark.memory import peak_memory
    from darec.data.ratings import Axis

    for axis in get_args(Axis):
        yield peak_memory(axis, "office_movies", 200 if quick else 1500)


def _data(quick: bool) -> Iterator[Figure]:
    """Preparing a file of 20 million lines."""
    from darec.benchmark.data import preparation
    from darec.benchmark.readers import reading

    yield from reading(200_000 if quick else 5_000_000)
    yield from preparation(1_000_000 if quick else 20_000_000)


def _serving(quick: bool) -> Iterator[Figure]:
    """Ten recommendations to every user of toys_auto, by factor models and autoencoders."""
    from darec.benchmark.serving import serving
    from darec.data.synthetic import synthetic_pair
    from darec.tuning.cluster.connection import connected

    names = ("cmf", "u_autorec", "i_autorec", "u_darec", "i_darec")
    with connected(None):
        yield from serving(names[: 2 if quick else None], synthetic_pair("toys_auto"))


def _search(quick: bool) -> Iterator[Figure]:
    """Trials on the stand-ins of toys_auto and, for memory, of office_movies."""
    from darec.benchmark import search
    from darec.data.split import split
    from darec.data.synthetic import synthetic_pair
    from darec.tuning.cluster.connection import connected

    toys, movies = (split(synthetic_pair(name)).search for name in ("toys_auto", "office_movies"))
    with connected(None):
        yield from search.trial_overhead(toys, 10, 20 if quick else 60)
        yield search.side_by_side(toys, 2, 6 if quick else 18, 40)
        yield search.stage1_reuse(toys, 4 if quick else 12, 5)
        yield search.shared_data(movies, 10)


def _scale(quick: bool) -> Iterator[Figure]:
    """Searches of up to 1000 trials of the bias baseline on 16 nodes, which are processes here."""
    from darec.benchmark.scale import scale
    from darec.data.split import split
    from darec.data.synthetic import planted_pair
    from darec.paper import Counts

    data = split(planted_pair("small", Counts(100, 50, 50, 1000, 1000))).search
    yield from scale(data, *((4, (8, 16)) if quick else (16, (100, 1000, 5000))))


def _service(quick: bool) -> Iterator[Figure]:
    """Requests to the HTTP service, by one client and by many at once."""
    from darec.benchmark.service import service

    yield from service("cmf", *(((1, 8), 200) if quick else ((1, 16, 64), 2000)))


MEASURES: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "core": _core,
    "growth": _growth,
    "center": _center,
    "fits": _fits,
    "transfer": _transfer,
    "new_users": _new_users,
    "memory": _memory,
    "data": _data,
    "serving": _serving,
    "search": _search,
    "scale": _scale,
    "service": _service,
    "gpu": _gpu,
}
"""How each section is measured that needs no pair."""
