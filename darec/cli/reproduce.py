"""``darec reproduce``: the paper's tables and figures, and more, on one page."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.cli.command import command, stop_on_sigterm
from darec.cli.options import Address, Data, Synthetic
from darec.errors import UserError
from darec.reporter import Reporter

LISTS = ("--pairs", "--models", "--train")
"""Options that take several values, separated by commas or blanks."""
SHOWN = ("table2", "fig2", "fig3", "all")


@command
def reproduce(
    reporter: Reporter,
    what: Annotated[
        Literal["table2", "fig2", "fig3", "all"], typer.Argument(help="What the page shows.")
    ],
    pairs: Annotated[
        str, typer.Option(help="Pairs, with commas or spaces; the paper's four by default.")
    ] = "",
    models: Annotated[str, typer.Option(help="Only these models, beside mean and bias.")] = "",
    train: Annotated[
        str,
        typer.Option(help="Percent not held out; Fig. 2 and what is beyond the paper have 90."),
    ] = "90 80",
    trials: Annotated[int, typer.Option(min=1, help="Trials of every model's search.")] = 50,
    stage1_trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each stage-1 study; a third of --trials by default."),
    ] = None,
    max_epochs: Annotated[int, typer.Option(min=1, help="Most epochs of a trial.")] = 100,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Splits and runs that score a winner; tests need 5, better 10."),
    ] = 5,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Searches at once; by the cluster's CPUs by default.")
    ] = None,
    address: Address = None,
    data: Data = Path("data"),
    out: Annotated[
        str, typer.Option(envvar="DAREC_OUT", help="Folder of all results, which all nodes see.")
    ] = "results",
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs of a trial; by memory by default.")
    ] = None,
    synthetic: Synthetic = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would run, and for how long; run nothing.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Make the page from what is there; run nothing.")
    ] = False,
) -> None:
    """Search, score and judge what the paper's tables and figures show; repeat it to continue.

    Example: darec reproduce table2 --pairs toys_auto --synthetic --trials 4 --plan

    What is done is skipped, and a failure is listed and stops nothing else. At the end, or when the
    command is interrupted, the page is made from what is there: results/report/report.html,
    table2.md, .csv and .tex, figures, provenance.json.
    """
    from darec.report.reproduce import reproduce as reproduce_

    reproduce_(
        what,
        _words(pairs),
        models=_words(models),
        train=tuple(_percent(word) for word in _words(train)),
        trials=trials,
        stage1_trials=stage1_trials,
        max_epochs=max_epochs,
        seeds=seeds,
        at_once=at_once,
        address=address,
        data=data,
        out=out,
        gpus_per_trial=gpus_per_trial,
        synthetic=synthetic,
        plan=plan,
        page=page,
        reporter=reporter,
        argv=tuple(sys.argv),
        after_connect=stop_on_sigterm,
    )


def _words(text: str) -> tuple[str, ...]:
    """Return the words between commas or blanks, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _percent(text: str) -> Literal[90, 80]:
    if text not in ("90", "80"):
        raise UserError(f"--train must be 90, 80 or both, comma-separated, but got {text!r}")
    return 90 if text == "90" else 80


def join_lists(argv: list[str]) -> list[str]:
    """Return a command line in which ``--train 90 80`` is one value, and so for `LISTS`."""
    found: list[str] = []
    for word in argv:
        in_list = len(found) > 1 and found[-2] in LISTS
        if in_list and not word.startswith("-") and word not in SHOWN:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found
