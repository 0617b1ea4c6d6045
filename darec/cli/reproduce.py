"""``darec reproduce``: the paper's tables and figures, and more, on one page."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.cli.command import called, command, command_line, stop_on_sigterm
from darec.cli.console import Terminal
from darec.cli.options import Address, Data, Insecure, Synthetic, percent, share

LISTS = ("--pairs", "--models", "--train")
"""Options that take several values, separated by commas or blanks."""
SECTIONS = ("table2", "fig2", "fig3", "cold_users", "all")
"""Words that may follow such a list on the command line and do not belong to it."""


@command
def reproduce(
    reporter: Terminal,
    what: Annotated[
        Literal["table2", "fig2", "fig3", "cold_users", "all"],
        typer.Argument(help="What the page shows."),
    ],
    pairs: Annotated[
        str,
        typer.Option(
            help="Pairs, with commas or spaces; the paper's four, or with --page all searched."
        ),
    ] = "",
    models: Annotated[
        str, typer.Option(help="Only these models, beside the mean and the biases.")
    ] = "",
    train: Annotated[
        str,
        typer.Option(help="Percent not held out; 90 for Fig. 2 and the sections beyond the paper."),
    ] = "90 80",
    cold_share: Annotated[
        Literal["20", "50", "80"],
        typer.Option(help="Percent of the users who are cold test users, in that section."),
    ] = "20",
    trials: Annotated[int, typer.Option(min=1, help="Trials of every model's search.")] = 50,
    stage1_trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each stage-1 study; a third of --trials by default."),
    ] = None,
    max_epochs: Annotated[int, typer.Option(min=1, help="Maximum epochs of a trial.")] = 100,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Seeds that score a winner; the paired tests need at least 5."),
    ] = 5,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Searches at once; by default as CPUs allow.")
    ] = None,
    address: Address = None,
    insecure: Insecure = False,
    data: Data = Path("data"),
    out: Annotated[
        str, typer.Option(envvar="DAREC_OUT", help="Folder of all results; all nodes must see it.")
    ] = "results",
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs of a trial; by default what its memory needs.")
    ] = None,
    synthetic: Synthetic = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would run, and for how long; run nothing.")
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Write the page from the searches that are there; run none."),
    ] = False,
) -> None:
    """Run the searches behind the paper's tables and figures, and write one page about them.

    Example: darec reproduce table2 --pairs toys_auto --synthetic --trials 4 --plan

    Run the same command again to continue: it skips what is done. A failure is listed and stops no
    other search. At the end, or after an interruption, the report is written from the scores that
    exist: results/report/report.html, table2.md, .csv and .tex, figures, provenance.json. With
    --page it shows all finished searches of the folder, also of models that the paper lacks.

    <models>
    """
    from darec.api.names import check_names

    chosen = _words(models)
    if chosen:
        check_names(",".join(chosen), "--models")
    if "all" in chosen:
        chosen = ()

    from darec.report.reproduce import reproduce as reproduce_

    stop_on_sigterm()
    page_file = reproduce_(
        what,
        _words(pairs),
        models=chosen,
        train=tuple(percent(word) for word in _words(train)),
        cold_share=share(cold_share),
        trials=trials,
        stage1_trials=stage1_trials,
        max_epochs=max_epochs,
        seeds=seeds,
        at_once=at_once,
        address=address,
        insecure=insecure,
        data=data,
        out=out,
        gpus_per_trial=gpus_per_trial,
        synthetic=synthetic,
        plan=plan,
        page=page,
        reporter=reporter,
        argv=tuple(sys.argv),
    )
    if page_file is not None:
        reporter.line(f"next:  {command_line(called('status'), {}, out)}")
    reporter.answer({"page": page_file})


def _words(text: str) -> tuple[str, ...]:
    """Return the words between commas or blanks, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def join_lists(argv: list[str]) -> list[str]:
    """Return a command line in which the values after each option of `LISTS` are one word."""
    found: list[str] = []
    for word in argv:
        in_list = len(found) > 1 and found[-2] in LISTS
        if in_list and not word.startswith("-") and word not in SECTIONS:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found
