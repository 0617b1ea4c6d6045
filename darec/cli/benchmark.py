"""``darec benchmark``: time what users pay for on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import command
from darec.cli.options import Data, SectionName
from darec.reporter import Reporter


@command
def benchmark(
    reporter: Reporter,
    section: Annotated[SectionName, typer.Option(help="What to measure.")] = "all",
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
    data: preparing a large file. search: what a trial costs beside training. scale: what the driver
    pays for large searches. quality: how soon the default search is as good as a plain random one.
    gpu: core on a GPU, held against its memory bandwidth too, and trials that share it; part of all
    where there is one.

    Example: darec benchmark --quick --section core
    """
    from darec.benchmark.sections import measure

    measure(section, quick=quick, pair=pair, data=data, out=out, reporter=reporter)
