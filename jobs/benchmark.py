"""Time what users pay for on this machine; each figure is a ratio within one run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from darec.errors import UserError
from jobs.common import Data, console, main

if TYPE_CHECKING:
    from darec.benchmark.core import Figure

Section = Literal[
    "all",
    "core",
    "growth",
    "memory",
    "fits",
    "transfer",
    "data",
    "search",
    "scale",
    "quality",
    "gpu",
]


def benchmark(
    section: Annotated[Section, typer.Option(help="What to measure.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, smaller sizes.")] = False,
    pair: Annotated[
        str | None, typer.Option(help="Prepared pair for quality; by default a stand-in.")
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json.")] = Path("results"),
) -> None:
    """Print what training, searching and preparing cost here, each beside a reference.

    core, growth and memory: the training core against a plain dense implementation, one thread.
    fits: every model. transfer: cross-domain models against a source with its users shuffled.
    data: preparing a large file. search: what a trial costs beside training. quality: how soon
    the default search is as good as a plain random one. gpu: core on a GPU, held against its
    memory bandwidth, too, and trials that share it; part of all where there is one.

    Example: python jobs/benchmark.py --quick --section core
    """
    from dataclasses import asdict

    import torch
    from rich.table import Table

    from darec.files import write_json

    torch.set_num_threads(1)
    if section == "gpu" and not torch.cuda.is_available():
        raise UserError("--section gpu: no CUDA device is available here")
    whole = [name for name in get_args(Section)[1:] if name != "gpu" or torch.cuda.is_available()]
    sections = whole if section == "all" else [section]
    console.print(f"[bold]Plan[/bold]: {', '.join(sections)}; 1-5 minutes a section")
    figures = []
    for name in sections:
        table = Table("figure", "ours", "reference", "times better", title=name)
        measured = _quality(quick, pair, data) if name == "quality" else SECTIONS[name](quick)
        for figure in measured:
            console.print(f"  {figure.name}: {figure.ratio:.1f}x")
            ours, reference = (f"{x:.3g} {figure.unit}" for x in (figure.value, figure.reference))
            table.add_row(figure.name, ours, reference, f"{figure.ratio:.2f}x")
            figures.append(asdict(figure))
            write_json(out / "benchmark.json", figures)
        console.print(table)
    console.print(f"written: {out / 'benchmark.json'}")


def _core(quick: bool) -> "Iterator[Figure]":
    """An epoch of each model: toys_auto's source for AutoRec, both domains for DARec."""
    from darec.benchmark.core import autorec_epoch, darec_epoch, training_of
    from darec.core.adam import Decay
    from darec.data.ratings import Axis

    training, repeats = training_of("toys_auto"), 1 if quick else 5
    for axis in get_args(Axis):
        for decay in get_args(Decay):
            yield autorec_epoch(training.source, axis, decay, repeats)
        yield darec_epoch(training, axis, repeats)


def _gpu(quick: bool) -> "Iterator[Figure]":
    """The core on a GPU, and trials that share it, on the stand-in of toys_auto."""
    from darec.benchmark import core
    from darec.benchmark.search import shared_gpu
    from darec.data.ratings import Axis
    from darec.data.split import split
    from darec.data.synthetic import synthetic_pair
    from darec.tuning import resources
    from darec.tuning.search import shutdown

    training, repeats = core.training_of("toys_auto"), 1 if quick else 5
    for axis in get_args(Axis):
        epoch = core.autorec_epoch(training.source, axis, "coupled", repeats, "cuda")
        yield epoch
        yield core.bandwidth_floor(epoch, training.source, axis, "cuda")
        yield core.darec_epoch(training, axis, repeats, "cuda")
    resources.connect(None)
    try:
        data = split(synthetic_pair("toys_auto")).search
        yield from shared_gpu(data, (1, 2, 4, 8), 4 if quick else 32, 30)
    finally:
        shutdown()


def _growth(quick: bool) -> "Iterator[Figure]":
    """An epoch of AutoRec on 1, 4 and 16 times as many ratings, alone or with users and items."""
    from darec.benchmark.core import Grows, growth
    from darec.core.adam import Decay
    from darec.data.ratings import Axis

    for grows in get_args(Grows):
        for decay in get_args(Decay):
            for axis in get_args(Axis):
                yield from growth(axis, decay, grows, (1, 4) if quick else (1, 4, 16))


def _fits(quick: bool) -> "Iterator[Figure]":
    """A fit of every model, the middle of its search space, on office_movies' stand-in."""
    from darec.benchmark.models import fits
    from darec.models import MODELS
    from darec.models.libraries import library
    from darec.tuning.plan import middle
    from search_spaces import SPACES

    names = ["i_autorec", *(name for name in MODELS if name != "i_autorec")]
    configs = {name: middle(SPACES[name]) for name in names}
    for name, config in configs.items():
        stage1 = MODELS[name].stage1
        if stage1:
            config["autorec"] = {**configs[stage1], "epochs": 30}
    library("surprise", "scikit-surprise"), library("myfm", "myfm")
    yield from fits(configs, "toys_auto" if quick else "office_movies")


def _transfer(quick: bool) -> "Iterator[Figure]":
    """Cross-domain models with the source as it is, and with its users shuffled."""
    from darec.benchmark.transfer import CONFIGS, informative, transfers
    from darec.models.libraries import library

    library("myfm", "myfm")
    yield from transfers(CONFIGS, 10 if quick else 60, informative())


def _memory(quick: bool) -> "Iterator[Figure]":
    """Peak memory of AutoRec on office_movies' target, hidden 1500."""
    from darec.benchmark.memory import peak_memory
    from darec.data.ratings import Axis

    for axis in get_args(Axis):
        yield peak_memory(axis, "office_movies", 200 if quick else 1500)


def _data(quick: bool) -> "Iterator[Figure]":
    """Preparing a file of 20 million lines."""
    from darec.benchmark.data import preparation

    yield from preparation(1_000_000 if quick else 20_000_000)


def _search(quick: bool) -> "Iterator[Figure]":
    """Trials on the stand-ins of toys_auto and, for memory, of office_movies."""
    from darec.benchmark import search
    from darec.data.split import split
    from darec.data.synthetic import synthetic_pair
    from darec.tuning import resources
    from darec.tuning.search import shutdown

    toys, movies = (split(synthetic_pair(name)).search for name in ("toys_auto", "office_movies"))
    resources.connect(None)
    try:
        yield from search.trial_overhead(toys, 10, 20 if quick else 60)
        yield search.side_by_side(toys, 2, 6 if quick else 18, 40)
        yield search.stage1_reuse(toys, 4 if quick else 12, 5)
        yield search.shared_data(movies, 10)
    finally:
        shutdown()


def _quality(quick: bool, pair: str | None, data: Path) -> "Iterator[Figure]":
    """Searches of I-DARec, three seeds."""
    from darec.benchmark.search import time_to_quality
    from darec.data.split import split
    from darec.data.store import obtain
    from darec.tuning import resources
    from darec.tuning.search import shutdown
    from search_spaces import SPACES

    prepared = obtain(pair or "toys_auto", data, synthetic=pair is None)
    space = SPACES["i_darec"].fix({"pyramid": 1.0, "predictors": "own"})
    resources.connect(None)
    try:
        for seed in range(1 if quick else 3):
            searched = split(prepared, seed=seed).search
            sizes = (4, 5) if quick else (24, 30)
            yield from time_to_quality(searched, space, *sizes, seed)
    finally:
        shutdown()


def _scale(quick: bool) -> "Iterator[Figure]":
    """Searches of up to 1000 trials of the bias baseline on 16 nodes, which are processes here."""
    from darec.benchmark.scale import scale
    from darec.data.split import split
    from darec.data.synthetic import planted_pair
    from darec.paper import Counts

    data = split(planted_pair("small", Counts(100, 50, 50, 1000, 1000))).search
    yield from scale(data, *((4, (8, 16)) if quick else (16, (100, 300, 1000))))


SECTIONS = {
    "core": _core,
    "growth": _growth,
    "fits": _fits,
    "transfer": _transfer,
    "memory": _memory,
    "data": _data,
    "search": _search,
    "scale": _scale,
    "gpu": _gpu,
}


if __name__ == "__main__":
    main(benchmark)
