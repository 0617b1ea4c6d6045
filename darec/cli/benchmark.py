"""``darec benchmark``: measure training, searching and preparing on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import command
from darec.cli.console import Terminal
from darec.cli.options import Data, SectionName


@command
def benchmark(
    reporter: Terminal,
    section: Annotated[SectionName, typer.Option(help="What to measure.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats, smaller sizes.")] = False,
    pair: Annotated[
        str | None,
        typer.Option(
            help="Pair for samplers, algorithms, rejudge, flat and quality, pairs with commas "
            "for starts and warm_start; synthetic by default."
        ),
    ] = None,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json.")] = Path("results"),
) -> None:
    """Print what training, searching and preparing cost here, each compared with a reference.

    core, growth and memory: the training core and a plain dense implementation, in one thread.
    center: the hierarchical biases on up to 20 million ratings.
    fits: a fit of every model. transfer: cross-domain models with and without shuffled source
    users. new_users: errors on people who were not in the training. data: preparing a large file.
    serving: recommending ten items to every user, in scored pairs a second. service: requests to
    darec serve. search: what a trial costs in addition to its training. scale: how the driver's
    cost grows with the number of trials. samplers: how low each gets in few trials.
    starts: whether the winners of other pairs help as first trials. algorithms: samplers with
    schedulers, in the seconds of a plain search. warm_start: how soon a search that first tries
    the winners of other pairs is as good as plain random search. rejudge: whether winners that are
    judged again have a lower test RMSE than those of more trials. flat: what --stop-when-flat saves
    and costs. quality: how soon the default search is as good as plain random search. gpu: the core
    on a GPU, also compared with the GPU's memory bandwidth, and trials that share a GPU; all
    includes it if there is a GPU.

    Example: darec benchmark --quick --section core
    """
    from darec.benchmark.sections import measure

    figures = measure(section, quick=quick, pair=pair, data=data, out=out, reporter=reporter)
    reporter.answer({"section": section, "figures": figures})
