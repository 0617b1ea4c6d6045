"""Time the training core on this machine, each figure as a ratio within one run."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.common import console, main


def benchmark(
    pair: Annotated[
        str, typer.Option(help="Time on this pair's synthetic stand-in.")
    ] = "toys_auto",
    quick: Annotated[bool, typer.Option("--quick", help="One repeat instead of five.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json.")] = Path("results"),
) -> None:
    """Print seconds per epoch of the sparse core against a plain dense implementation.

    Example: python jobs/benchmark.py --quick
    """
    from dataclasses import asdict
    from typing import get_args

    import torch
    from rich.table import Table

    from darec.data.ratings import Axis
    from darec.data.store import obtain
    from darec.evaluation.benchmark import autorec_epoch
    from darec.files import write_json

    torch.set_num_threads(threads)
    ratings = obtain(pair, Path("data"), synthetic=True).source
    repeats = 1 if quick else 5
    console.print(
        f"AutoRec on {pair}-synthetic's source: {len(ratings)} ratings, {ratings.n_users} users, "
        f"{ratings.n_items} items; hidden 500, batch 256, {threads} thread(s), median of {repeats}"
    )
    figures = [autorec_epoch(ratings, axis, repeats) for axis in get_args(Axis)]
    table = Table("figure", "ours", "dense", "dense / ours")
    for figure in figures:
        ours, dense = f"{figure.value:.3f} {figure.unit}", f"{figure.reference:.3f} {figure.unit}"
        table.add_row(figure.name, ours, dense, f"{figure.ratio:.1f}x")
    console.print(table)
    write_json(out / "benchmark.json", [asdict(figure) for figure in figures])
    console.print(f"written: {out / 'benchmark.json'}")


if __name__ == "__main__":
    main(benchmark)
