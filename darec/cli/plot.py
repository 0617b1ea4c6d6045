"""``darec plot``: write the page of a search."""

from darec.cli.command import command, command_line
from darec.cli.console import Terminal
from darec.cli.status import LocalStudy


@command
def plot(reporter: Terminal, study: LocalStudy) -> None:
    """Write study.html of a search, which may be running: its curves, and what mattered.

    Example: darec plot results/toys_auto-90/i_darec

    The page is one self-contained file. A search writes it by itself when it
    ends or is interrupted.
    """
    from darec.api.names import check_searches

    check_searches([study])

    from pathlib import Path

    from darec.api.study_page import write_study_page

    page = write_study_page(Path(study))
    logs = command_line("tensorboard", {"--logdir": study})
    reporter.line(f"page:  {page}\nnext:  {logs}")
    reporter.answer({"page": page}, str(page))
