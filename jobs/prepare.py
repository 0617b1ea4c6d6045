"""Prepare a pair once: fetch or read two rating files, filter, index, save, print its counts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.errors import UserError
from jobs.common import Data, Synthetic, console, main

COPIES_TOLD = 0.02
"""Share of copied ratings from which on `prepare` speaks of them."""


def prepare(
    pair: Annotated[str | None, typer.Option(help="A pair of Table 1, e.g. toys_auto.")] = None,
    source: Annotated[Path | None, typer.Option(help="Your own source ratings.")] = None,
    target: Annotated[Path | None, typer.Option(help="Your own target ratings.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of your own pair.")] = None,
    data: Data = Path("data"),
    min_ratings: Annotated[int, typer.Option(min=1, help="Least ratings of a user kept.")] = 5,
    min_ratings_in: Annotated[
        Literal["each", "total"], typer.Option(help="Counted in each domain, or in total.")
    ] = "each",
    layout: Annotated[
        Literal["amazon2014", "amazon2018", "header"] | None,
        typer.Option(help="Force the files' layout; recognised from the file by default."),
    ] = None,
    year: Annotated[
        Literal["2014", "2018", "2023"], typer.Option(help="Amazon release; the paper's is 2014.")
    ] = "2014",
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="Accept a file whose sha256 differs.")
    ] = False,
    synthetic: Synthetic = False,
) -> None:
    """Prepare a pair for every other job.

    Example: python jobs/prepare.py --pair toys_auto

    Own files: python jobs/prepare.py --source books.csv --target music.csv --name books_music
    """
    from rich.table import Table

    from darec.data import store
    from darec.data.pairs import PAIRS
    from darec.data.twins import copied_share
    from darec.paper import TABLE_1

    own = (source, target, name)
    if (pair is None) == (own == (None, None, None)) or (pair is None and None in own):
        raise UserError("give either --pair, or all of --source, --target and --name")
    if pair is not None and pair not in PAIRS:
        raise UserError(f"--pair must be one of {', '.join(PAIRS)}, but got {pair!r}")
    if synthetic:
        if pair is None:
            raise UserError("--synthetic needs --pair: it stands in for a pair of Table 1")
        prepared = store.obtain(pair, data, synthetic=True)
    else:
        if pair is not None:
            name = pair
            console.print(f"Fetching {pair}'s two category files ({year}) unless they are there")
            source, target = store.amazon_files(pair, data, int(year), accept_changed)
        assert name is not None and source is not None and target is not None
        console.print(
            f"Preparing {name}: {source} -> {target}, users with >= {min_ratings} ratings "
            f"({min_ratings_in})"
        )
        prepared, removed = store.prepare(
            name, data, source, target, min_ratings, min_ratings_in, layout
        )
        console.print(
            f"Repeated (user, item) rows, the latest kept: source {removed.repeated_source}, "
            f"target {removed.repeated_target}; items in both domains, dropped: "
            f"{removed.shared_items}; shared users before the filter: {removed.shared_users}"
        )
    printed = TABLE_1.get(pair or "")
    table = Table("", prepared.name, *(["Table 1"] if printed else []), title="Counts")
    for kind, count in store.counts(prepared).items():
        paper = [str(getattr(printed, kind))] if printed else []
        table.add_row(kind.replace("_", " "), str(count), *paper)
    console.print(table)
    for domain, ratings in (("source", prepared.source), ("target", prepared.target)):
        share = copied_share(ratings)
        if share >= COPIES_TOLD:
            console.print(
                f"note: {share:.0%} of the {domain}'s ratings repeat their user's rating of an "
                f"item with nearly the same raters (editions of one product?), which models of "
                f"item rows can copy"
            )
    flags = f"{pair} --synthetic" if synthetic else prepared.name
    where = "" if data == Path("data") else f" --data {data}"
    kept = (
        "generated anew by every job" if synthetic else f"saved: {data / 'pairs' / prepared.name}"
    )
    console.print(f"{kept}\nnext: python jobs/tune.py --pair {flags}{where}")


if __name__ == "__main__":
    main(prepare)
