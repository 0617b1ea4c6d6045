"""What the commands share: one-line errors, the options every job takes."""

import signal
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from darec.errors import UserError
from darec.processes import end_with_parent

if TYPE_CHECKING:
    from darec.data.ratings import DomainPair
    from darec.models.best import Best

console = Console()
"""Results go to stdout; logs and progress of libraries go to stderr."""

Pair = Annotated[
    str, typer.Option(help="A pair of Table 1, or the --name given to jobs/prepare.py.")
]
Model = Annotated[str, typer.Option(help="A model of darec.models.MODELS, or all of them.")]
Data = Annotated[Path, typer.Option(help="Folder of downloads and prepared pairs.")]
Train = Annotated[Literal["90", "80"], typer.Option(help="Percent not held out.")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to join, e.g. auto; by default this machine.")
]
Out = Annotated[
    str, typer.Option(envvar="DAREC_OUT", help="Folder or URI (s3://...) of all results.")
]
Synthetic = Annotated[
    bool,
    typer.Option(
        "--synthetic",
        help="Use the stand-in with Table 1's counts; results are labelled <pair>-synthetic.",
    ),
]
Seed = Annotated[int, typer.Option(help="Root seed of splits, searches and runs.")]


def chosen(model: str, known: Iterable[str]) -> list[str]:
    """Return the models that ``--model`` names; raises `UserError` for an unknown one."""
    names = list(known)
    if model not in [*names, "all"]:
        raise UserError(f"--model must be one of {', '.join(names)} or all, but got {model!r}")
    return names if model == "all" else [model]


def winners(
    model: str, known: Iterable[str], prepared: "DomainPair", train: str, out: str
) -> "tuple[Path, list[Best]]":
    """Return the folder of results, fetched if ``out`` is a URI, and the winners searched there.

    Raises `UserError` when one that is named, or all, were not searched, or on other ratings.
    """
    from typing import get_args

    from darec.data.split import TrainPercent
    from darec.models.best import load_best, study_folder
    from darec.tuning import mirror

    names = chosen(model, known)
    percent = next(value for value in get_args(TrainPercent) if str(value) == train)
    folder = mirror.working_folder(out)
    if mirror.is_uri(out):
        mirror.fetch(out, folder)
    folders = [study_folder(folder, prepared.name, percent, name) for name in names]
    if model == "all":
        folders = [path for path in folders if (path / "best.json").is_file()]
        if not folders:
            raise UserError(f"{out}: no finished search of {prepared.name}; run jobs/tune.py first")
    found = [load_best(path) for path in folders]
    if any(best.data_digest != prepared.digest for best in found):
        raise UserError(f"{prepared.name}: its ratings are not those the search saw; tune it again")
    return folder, found


def stop_on_sigterm() -> None:
    """Take SIGTERM as Ctrl-C, also where a shell has made a command in its background ignore that.

    The end of the terminal (SIGHUP) as well, unless that is ignored (nohup). Tune has a handler of
    its own for Ctrl-C while it runs: it writes its last snapshot.
    """

    def stop(*_: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, stop)


def main(command: Callable[..., Any]) -> None:
    """Run one command: bad input becomes one line on stderr and exit code 1."""
    end_with_parent()

    @wraps(command)
    def told(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except (UserError, OSError) as error:  # OSError: a full disk, a folder without permission
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from error

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(told)
    app()
