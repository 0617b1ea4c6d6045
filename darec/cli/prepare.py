"""``darec prepare``: prepare a pair once, for every other command."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.cli.options import Data, Synthetic
from darec.errors import UserError


@command
def prepare(
    reporter: Terminal,
    pair: Annotated[str | None, typer.Option(help="A pair of Table 1, e.g. toys_auto.")] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="Your own file of source ratings, or a folder; may be repeated."),
    ] = None,
    target: Annotated[
        list[Path] | None, typer.Option(help="The same of the target ratings.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of your own pair.")] = None,
    data: Data = Path("data"),
    min_ratings: Annotated[int, typer.Option(min=1, help="Drop users with fewer ratings.")] = 5,
    min_ratings_in: Annotated[
        Literal["each", "total"],
        typer.Option(help="Count them in each domain, or in total."),
    ] = "each",
    overlap: Annotated[
        Literal["shared", "all"],
        typer.Option(help="Keep the users of both domains, or those of one domain as well."),
    ] = "shared",
    items: Annotated[
        Literal["shared", "separate"] | None,
        typer.Option(
            help="What an id in both domains is: the same item, or two; asked for where needed."
        ),
    ] = None,
    min_item_ratings: Annotated[
        int, typer.Option(min=1, help="Drop items with fewer ratings, and so on (a k-core).")
    ] = 1,
    sample_users: Annotated[
        int | None, typer.Option(min=1, help="Keep only this many users, drawn at random.")
    ] = None,
    drop_twins: Annotated[
        bool,
        typer.Option("--drop-twins", help="Keep one of the items that copy each other's ratings."),
    ] = False,
    split_file: Annotated[
        Path | None,
        typer.Option(
            help="File of user, item and part (train, valid, test), also a rating file with a "
            "column split; searched with tune --split file."
        ),
    ] = None,
    layout: Annotated[
        Literal["amazon2014", "amazon2018", "header"] | None,
        typer.Option(help="Layout of text files; recognised by default, as all that follows."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="user=NAME,item=NAME,rating=NAME,time=NAME; positions from 1 also do, and "
            "source.user=NAME is of the source alone."
        ),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What stands between two cells, e.g. '::'; tab for a tab.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files, e.g. latin-1.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Lowest and highest rating; by default found."),
    ] = None,
    source_scale: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="The same of the source alone.")
    ] = None,
    target_scale: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="The same of the target alone.")
    ] = None,
    unrated: Annotated[
        float | None, typer.Option(help='Drop rows with this rating: it means "not rated".')
    ] = None,
    year: Annotated[
        Literal["2014", "2018", "2023"], typer.Option(help="Amazon release; the paper's is 2014.")
    ] = "2014",
    accept_changed: Annotated[
        bool, typer.Option("--accept-changed", help="Accept a file whose SHA-256 differs.")
    ] = False,
    synthetic: Synthetic = False,
) -> None:
    """Prepare a pair for every other command.

    Example: darec prepare --pair toys_auto

    Your own files: darec prepare --source books.csv --target music.csv --name books_music

    They may be CSV, TSV and the like, JSON lines or Parquet, plain or packed (docs/ratings.md).

    Ratings from 1 to 10, where 0 means not rated: add --scale 1,10 --unrated 0
    The pair's data card, a page to look at in a browser, is data/pairs/NAME.html.
    """
    from darec.api import pairs
    from darec.data.columns import parse_columns
    from darec.data.store import counts

    years: dict[str, pairs.Year] = {"2014": 2014, "2018": 2018, "2023": 2023}
    prepared = pairs.prepare(
        source or None,
        target or None,
        name=name,
        pair=pair,
        data=data,
        min_ratings=min_ratings,
        min_ratings_in=min_ratings_in,
        overlap=overlap,
        items=items,
        min_item_ratings=min_item_ratings,
        sample_users=sample_users,
        drop_twins=drop_twins,
        split_file=split_file,
        layout=layout,
        columns=parse_columns(columns),
        delimiter=delimiter,
        encoding=encoding,
        scale=parse_scale("--scale", scale),
        source_scale=parse_scale("--source-scale", source_scale),
        target_scale=parse_scale("--target-scale", target_scale),
        unrated=unrated,
        year=years[year],
        accept_changed=accept_changed,
        synthetic=synthetic,
        reporter=reporter,
    )
    same = {
        "--pair": pair if synthetic else prepared.name,
        "--synthetic": synthetic,
        "--data": None if data == Path("data") else data,
    }
    reporter.line(f"next: {command_line(called('tune'), same)}")
    reporter.answer({"pair": prepared.name, "digest": prepared.digest, **counts(prepared)})


def parse_scale(option: str, text: str | None) -> tuple[float, float] | None:
    """Return ``LOW,HIGH`` as two numbers; raises `UserError` for another text."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError as error:
        raise UserError(f"{option} must be LOW,HIGH, two numbers, but got {text!r}") from error
    return low, high
