"""``darec status`` and ``darec stop``: what searches are doing, and how to end one."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.errors import UserError

if TYPE_CHECKING:
    from darec.api.status import StudyStatus

Study = Annotated[str, typer.Argument(metavar="STUDY", help="Folder or URI of the search.")]
LocalStudy = Annotated[str, typer.Argument(metavar="STUDY", help="Folder of the search.")]


@command
def status(
    reporter: Terminal,
    out: Annotated[str, typer.Argument(help="Folder or URI of results.")] = "results",
) -> None:
    """List every study below a folder of results: its state, trials, best RMSE and size.

    Example: darec status results

    It only reads files, and works from any terminal while searches run.
    """
    if "://" not in out and not Path(out).is_dir():
        raise UserError(f"{out}: no such folder")

    import pandas as pd

    from darec.api import status as api

    found = api.status(out)
    rows = [_row(each) for each in found]
    reporter.table(f"Studies in {out}", pd.DataFrame(rows).set_index("study"))
    for each in found:
        if each.process:
            ends = [f"{n} {end}" for end, n in each.ended.items() if end != "unfinished"]
            message = ", ".join(ends) or "no trial has ended"
            reporter.line(f"{each.study} is run by {each.process}: {message}")
        reporter.answer(
            {**asdict(each), "n_ended": each.n_ended},
            f"{each.study}: {each.state}, {each.n_ended} of {each.asked} trials",
        )
    running = [each.search for each in found if each.state == "running"]
    if running:
        place = out if running[0] == "." else f"{out.rstrip('/')}/{running[0]}"
        reporter.line(f"next:  {command_line(called('stop'), {}, place)}")
    else:
        reporter.line(f"next:  {command_line('tensorboard', {'--logdir': out})}")


def _row(each: "StudyStatus") -> dict[str, str]:
    failed = each.ended.get("failed", 0)
    best = each.best_valid_rmse
    return {
        "study": each.study,
        "state": each.state,
        "trials": f"{each.n_ended}/{each.asked}{f', {failed} failed' if failed else ''}",
        "best": "" if best is None else f"{best:.4f}",
        "began": time.strftime("%m-%d %H:%M", time.localtime(each.began)),
        "MB": f"{each.bytes / 1e6:.0f}",
    }


@command
def stop(reporter: Terminal, study: Study) -> None:
    """Ask a running search to end as Ctrl-C does: it can be continued with --resume.

    Example: darec stop results/toys_auto-90/i_darec

    It works from any machine that sees the folder or URI. Returns when the search has
    ended, or after a minute.
    """
    from darec.api.names import check_searches

    check_searches([study])

    from darec.api import status as api

    ended = api.stop(study)
    message = "ended" if ended else "asked to end; it may take a while"
    reporter.line(f"{study}: {message}\nnext:  continue it with the same command and --resume")
    reporter.answer({"study": study, "ended": ended}, f"{study}: {message}")
