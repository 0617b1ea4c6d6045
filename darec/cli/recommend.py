"""``darec recommend``: the best unseen items of some users, or of all."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darec.cli.command import called, command, command_line, stop_on_sigterm
from darec.cli.console import Terminal
from darec.cli.options import Address, Insecure, ModelFolder, Unknown
from darec.errors import UserError
from darec.reporter import LOGGER

if TYPE_CHECKING:
    import pandas as pd


@command
def recommend(
    reporter: Terminal,
    model: ModelFolder,
    user: Annotated[
        list[str] | None, typer.Option(help="A user's id; may be given several times.")
    ] = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="Every user that the model knows; needs -o.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Items of each user.")] = 10,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="File to write, .parquet or .csv; a folder on a cluster."),
    ] = None,
    titles: Annotated[
        Path | None, typer.Option(help="CSV or TSV file with the columns item and title.")
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also items that the user has rated.")
    ] = False,
    unknown: Unknown = "cold",
    lower_bound: Annotated[
        float,
        typer.Option(min=0, metavar="Z", help="Rank by the prediction minus Z deviations."),
    ] = 0.0,
    address: Address = None,
    insecure: Insecure = False,
) -> None:
    """Recommend the items with the highest scores that a user has not rated.

    Example: darec recommend results/toys_auto-90/fm_cdcf/model --user A1 --user A2 --top 5

    On this machine: darec recommend MODEL --all-users -o top.parquet

    On a Ray cluster: darec recommend MODEL --all-users -o s3://bucket/top --address auto

    A score is a prediction before it is clipped to the scale of the ratings. With --lower-bound Z
    it is the prediction minus Z times the standard deviation of a rating around it: safe items come
    first.
    On a cluster, -o is a folder or URI that every node sees. It gets a Parquet file for every part
    of the users, and the same command after an interruption makes only the parts that are missing.
    """
    _check(user, all_users, out, address)
    import darec
    from darec.serving.batch import recommend_file, with_titles
    from darec.serving.columns import read_titles

    if address is not None and out:
        from darec.serving.on_ray.batch import recommend_on_cluster

        stop_on_sigterm()
        recommend_on_cluster(
            model,
            out,
            address=address,
            insecure=insecure,
            n=top,
            exclude_seen=not include_seen,
            lower_bound=lower_bound,
            titles=titles,
            reporter=reporter,
        )
    else:
        named = read_titles(titles) if titles else None
        loaded = darec.load(model)
        users = list(user or loaded.user_ids.ids)
        if unknown == "cold":
            _report_unknown([users[k] for k in (loaded.user_ids.positions(users) < 0).nonzero()[0]])
        if out:
            recommend_file(
                loaded,
                users,
                Path(out),
                n=top,
                exclude_seen=not include_seen,
                unknown=unknown,
                lower_bound=lower_bound,
                titles=named,
                reporter=reporter,
            )
        else:
            found = loaded.recommend(
                users,
                top,
                exclude_seen=not include_seen,
                unknown=unknown,
                lower_bound=lower_bound,
            )
            found = found if named is None else with_titles(found, named)
            _show(found, reporter)
    written = f"written: {out}\n" if out else ""
    if out:
        reporter.answer({"written": out})
    reporter.line(f"{written}next:    {command_line(called('serve'), {}, model)}")


def _check(user: list[str] | None, all_users: bool, out: str | None, address: str | None) -> None:
    """Raise `UserError` for options that do not go together."""
    if bool(user) == all_users:
        raise UserError("give either --user ID, once or several times, or --all-users")
    if all_users and not out:
        raise UserError("--all-users needs a file to write: -o top.parquet")
    if address is not None and not all_users:
        raise UserError("--address is for --all-users: some users are quicker on this machine")


def _report_unknown(users: list[str]) -> None:
    if users:
        message = "not in the model's data, so that the cold policy ranks the items"
        LOGGER.warning("user %s: %s", ", ".join(map(repr, users)), message)


def _show(found: "pd.DataFrame", reporter: Terminal) -> None:
    """Show a table for each user."""
    values = found.astype(object).where(found.notna(), None)
    names = [str(name) for name in found]
    for each in values.itertuples(index=False):
        row = dict(zip(names, each, strict=True))
        reporter.answer(row, f"{row['user']}\t{row['item']}\t{row['score']:.4f}")
    for user, rows in found.groupby("user", sort=False):
        table = rows.drop(columns="user").set_index("rank").fillna("")
        table["score"] = table["score"].map("{:.3f}".format)
        reporter.table(str(user), table)
