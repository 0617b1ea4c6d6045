"""The paper's tables and figures, and what lies beyond them, on one page: from one command."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from darec.errors import UserError
from jobs.common import Address, Data, Synthetic, console, main, stop_on_sigterm

if TYPE_CHECKING:
    from darec.report.cells import Budget, Cell
    from darec.report.runner import Place

SHOWN = ("table2", "fig2", "fig3", "all")
AT_ONCE_CPUS = 8
"""CPUs of a cluster for each search that runs beside another, and at least two searches."""


def reproduce(
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
        str, typer.Option(help="GPUs of a trial, as jobs/tune.py takes them; by memory by default.")
    ] = "",
    synthetic: Synthetic = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would run, and for how long; run nothing.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Make the page from what is there; run nothing.")
    ] = False,
) -> None:
    """Search, score and judge what the paper's tables and figures show; repeat it to continue.

    Example: python jobs/reproduce.py table2 --pairs toys_auto --synthetic --trials 4 --plan

    What is done is skipped, failures are listed and stop nothing else, and at the end, or when it
    is interrupted, the page is made from what is there: results/report/report.html, table2.md,
    .csv and .tex, figures, provenance.json.
    """
    if "://" in out:
        raise UserError(f"--out must be a folder, since the page is made from files, but got {out}")
    from darec.data.pairs import PAIRS
    from darec.data.shuffled import prepare_shuffled, shuffle_source
    from darec.data.store import obtain, pair_folder
    from darec.report.cells import Budget, Results, distinct
    from darec.report.page import write_report
    from darec.report.plan import describe
    from darec.report.runner import Place
    from darec.report.sections import Request
    from darec.tuning import resources
    from darec.tuning.lock import alone

    request = Request(
        what=what,
        pairs=_words(pairs) or tuple(PAIRS),
        models=_words(models),
        train=tuple(_percent(word) for word in _words(train)),
        synthetic=synthetic,
        budget=Budget(trials, stage1_trials or max(1, trials // 3), max_epochs, seeds),
    )
    prepared = {
        name: obtain(name, data, synthetic, console.print)
        for name in request.pairs
        if not plan or synthetic or name not in PAIRS or pair_folder(data, name).is_dir()
    }
    digests = {request.label(name): pair.digest for name, pair in prepared.items()}
    if what == "all":
        controls = [shuffle_source(pair) for pair in prepared.values()]
        digests |= {control.name: control.digest for control in controls}
    folder, cells = Path(out), distinct(request.cells())
    results = Results(folder, request.budget, digests, _drawn)
    todo = [(cell, steps) for cell in cells if (steps := results.missing(cell))]
    todo = [(cell, steps) for cell, steps in todo if cell not in results.refused]
    failures: dict[Cell, str] = dict(results.refused)
    if len(failures) == len(cells):
        raise UserError(next(iter(failures.values())))
    told = [
        f"[bold]Plan[/bold]: {line}" for line in describe(cells, todo, failures, request, prepared)
    ]
    console.print("\n".join(told), highlight=False, soft_wrap=True)
    if plan:
        return
    with alone(folder / "report", ""):
        try:
            if todo and not page:
                if what == "all":
                    for pair in prepared.values():
                        prepare_shuffled(pair, data)
                with resources.connected(address) as (here, cpus):
                    stop_on_sigterm()  # after Ray's own
                    n_at_once = at_once or max(2, int(cpus) // AT_ONCE_CPUS)
                    share = int(cpus) // n_at_once or None  # None: nodes are still to come
                    place = Place(folder, data.resolve(), here, share, gpus_per_trial)
                    failures |= _run(request.budget, todo, place, n_at_once)
        finally:
            results = Results(folder, request.budget, digests, _drawn)
            written = write_report(
                request, results, prepared, folder / "report", sys.argv, failures
            )
            lines = [f"failed: {cell.name}: {reason}" for cell, reason in failures.items()]
            for line in (*lines, f"page:  {written}"):
                console.print(line, highlight=False, soft_wrap=True, markup=False)
    if failures:
        raise UserError(f"{len(failures)} of {len(cells)} searches have no score; run it again")


def _run(
    budget: "Budget", todo: "list[tuple[Cell, Sequence[str]]]", place: "Place", at_once: int
) -> "dict[Cell, str]":
    """Run what is missing under one progress display; return why cells failed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )

    from darec.report.runner import Runner

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as shown:
        total = shown.add_task("searches", total=len(todo))
        running: dict[Cell, TaskID] = {}

        def tell(cell: "Cell", step: str) -> None:
            if cell not in running:
                running[cell] = shown.add_task(cell.name, total=None)
            shown.update(running[cell], description=f"{cell.name}: {step}")
            if step in ("done", "failed", "stopped"):
                shown.remove_task(running.pop(cell))
                shown.advance(total)
                console.print(f"{step}: {cell.name}", highlight=False, soft_wrap=True)

        try:
            return Runner(budget, place, tell).run(todo, at_once)
        except KeyboardInterrupt:
            console.print("interrupted; the same command continues", highlight=False)
            raise


def _drawn(cell: "Cell") -> dict[str, Any]:
    """Return what a cell's studies draw from now, as ``study.json`` has it."""
    from optuna.distributions import distribution_to_json

    from darec.models import MODELS
    from search_spaces import narrowed

    space, stage1 = narrowed(cell.model, MODELS[cell.model].stage1, False, list(cell.fix))
    return {
        name: {key: json.loads(distribution_to_json(d)) for key, d in each.space.items()}
        for name, each in (("space", space), ("stage1", stage1))
        if each is not None
    }


def _words(text: str) -> tuple[str, ...]:
    """Return the words between commas or spaces, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _joined(argv: list[str]) -> list[str]:
    """Return a command line in which ``--train 90 80`` is one value, and so for the other lists."""
    found: list[str] = []
    for word in argv:
        lists = len(found) > 1 and found[-2] in ("--pairs", "--models", "--train")
        if lists and not word.startswith("-") and word not in SHOWN:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _percent(text: str) -> Literal[90, 80]:
    if text not in ("90", "80"):
        raise UserError(f"--train must be 90, 80 or both, comma-separated, but got {text!r}")
    return 90 if text == "90" else 80


if __name__ == "__main__":
    sys.argv[:] = _joined(sys.argv)
    main(reproduce)
