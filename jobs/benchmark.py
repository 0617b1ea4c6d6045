"""Time what users pay for on this machine; each figure is a ratio within one run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobs.common import console, main

if TYPE_CHECKING:
    from darec.benchmark.core import Figure

Section = Literal["all", "core", "growth", "memory"]


def benchmark(
    section: Annotated[Section, typer.Option(help="What to time.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, smaller sizes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json.")] = Path("results"),
) -> None:
    """Print how fast and how small training is against a plain dense implementation, one thread.

    Example: python jobs/benchmark.py --quick --section core
    """
    from dataclasses import asdict

    import torch
    from rich.table import Table

    from darec.files import write_json

    torch.set_num_threads(1)
    sections = list(SECTIONS) if section == "all" else [section]
    console.print(
        f"[bold]Plan[/bold]: {', '.join(sections)}; one thread; about 2 minutes a section"
    )
    figures = []
    for name in sections:
        table = Table("figure", "ours", "reference", "reference / ours", title=name)
        for figure in SECTIONS[name](quick):
            console.print(f"  {figure.name}: {figure.ratio:.1f}x")
            ours, reference = (f"{x:.3g} {figure.unit}" for x in (figure.value, figure.reference))
            table.add_row(figure.name, ours, reference, f"{figure.ratio:.1f}x")
            figures.append(figure)
        console.print(table)
    write_json(out / "benchmark.json", [asdict(figure) for figure in figures])
    console.print(f"written: {out / 'benchmark.json'}")


def _core(quick: bool) -> "Iterator[Figure]":
    """An epoch of each model: toys_auto's source for AutoRec, both domains for DARec."""
    from typing import get_args

    from darec.benchmark.core import autorec_epoch, darec_epoch, training_of
    from darec.core.adam import Decay
    from darec.data.ratings import Axis

    training, repeats = training_of("toys_auto"), 1 if quick else 5
    for axis in get_args(Axis):
        for decay in get_args(Decay):
            yield autorec_epoch(training.source, axis, decay, repeats)
        yield darec_epoch(training, axis, repeats)


def _growth(quick: bool) -> "Iterator[Figure]":
    """An epoch of AutoRec on 1, 4 and 16 times as many users, items and ratings."""
    from typing import get_args

    from darec.benchmark.core import growth
    from darec.data.ratings import Axis

    for axis in get_args(Axis):
        yield from growth(axis, (1, 4) if quick else (1, 4, 16))


def _memory(quick: bool) -> "Iterator[Figure]":
    """Peak memory of AutoRec on office_movies' target, hidden 1500."""
    from typing import get_args

    from darec.benchmark.memory import peak_memory
    from darec.data.ratings import Axis

    for axis in get_args(Axis):
        yield peak_memory(axis, "office_movies", 200 if quick else 1500)


SECTIONS = {"core": _core, "growth": _growth, "memory": _memory}


if __name__ == "__main__":
    main(benchmark)
