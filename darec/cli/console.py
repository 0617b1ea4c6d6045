"""Prints the library's messages on a terminal: results to stdout, logs to stderr."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from darec.reporter import (
    Advance,
    Show,
    SilentReporter,
    StudyView,
    line_now_and_then,
)

if TYPE_CHECKING:
    import pandas as pd


WIDEST = 1000
"""The width in characters that a table may have when the output is not a terminal."""
BORDER = 3
"""Characters that a column takes besides its words."""
SHORT = 16
"""Cells of up to this many characters stay on one line."""


class ConsoleReporter:
    """A `darec.reporter.Reporter` that prints with rich."""

    def __init__(self) -> None:
        self._out, self._error = _console(), _console(stderr=True)

    def line(self, text: str) -> None:
        """Print one message as it is, without wrapping, so that paths can be copied."""
        self._out.print(text, soft_wrap=True)

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Print a table with the index as its first column. Output to a file is never cut short.

        Columns that do not fit beside the others on a terminal make further tables below.
        """
        shown = table.reset_index(names=table.index.name or "").astype(str)
        if not self._out.is_terminal:
            self._draw(title, shown)
            return
        for k, columns in enumerate(_parts(shown, self._out.width)):
            self._draw(f"{title}, continued" if k else title, shown[columns])

    def _draw(self, title: str, shown: "pd.DataFrame") -> None:
        from rich.measure import Measurement
        from rich.table import Table
        from rich.text import Text

        drawn = Table(title=Text(title), title_justify="left")
        for name in shown.columns:
            drawn.add_column(str(name), no_wrap=_longest(shown[name]) <= SHORT)
        for row in shown.to_numpy():
            drawn.add_row(*row)
        out = self._out
        if not out.is_terminal:
            natural = Measurement.get(out, out.options.update(width=WIDEST), drawn).maximum
            out = _console(width=max(natural, out.width))
        out.print(drawn)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Show a progress bar, which vanishes at the end."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        description = TextColumn("{task.description}", markup=False)
        columns = (description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # lines that are printed meanwhile must come from the console that draws the bar
        console = self._out if self._out.is_terminal else self._error
        with Progress(*columns, console=console, transient=True) as shown:
            task = shown.add_task(label, total=total)
            yield lambda: shown.advance(task)

    @contextmanager
    def study(self) -> Iterator[Show]:
        """Draw a running study in one block, which vanishes; write lines where none can be drawn.

        Lines that are printed meanwhile appear above the block.
        """
        from rich.live import Live

        from darec.cli.live import block

        if not self._out.is_terminal:
            yield line_now_and_then(self.line)
            return
        with Live(console=self._out, transient=True, auto_refresh=False) as live:

            def show(view: StudyView) -> None:
                live.update(block(view), refresh=True)

            yield show

    def answer(self, values: Mapping[str, Any], line: str = "") -> None:
        """Print nothing: the result was printed before."""

    def end(self) -> None:
        """End the command's output."""


class Answers(SilentReporter):
    """Prints the results of a command and nothing else: short lines, or JSON for a program."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._answers: list[Mapping[str, Any]] = []

    def answer(self, values: Mapping[str, Any], line: str = "") -> None:
        """Take one result, as values and, where there is more to say than a file's name, a line."""
        self._answers.append(values)
        if line and not self._json:
            print(line)

    def end(self) -> None:
        """Print all results as one JSON object, if JSON is asked for."""
        if self._json:
            print(json.dumps({"results": self._answers}, default=_plain))


Terminal = ConsoleReporter | Answers
"""The reporter of a command."""


def _plain(value: Any) -> Any:
    """Return what JSON does not know as a number or text: numpy's numbers, paths."""
    return value.item() if hasattr(value, "item") else str(value)


def _console(**options: Any) -> Console:
    """Return a console that shows text as it is: brackets, colons and numbers mean nothing."""
    return Console(markup=False, emoji=False, highlight=False, **options)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current ``sys.stderr``, which rich replaces while it draws a live block."""

    @property
    def stream(self) -> TextIO:
        """The current ``sys.stderr``."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Keep no other stream."""


def set_up(verbose: bool, quiet: bool, as_json: bool = False) -> Terminal:
    """Set up logging to stderr, and return the reporter for ``-v``, ``-q`` or ``--json``."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(handlers=[_StderrHandler()], format="%(levelname)s: %(message)s")
    logging.getLogger("darec").setLevel(level)
    return Answers(as_json) if quiet or as_json else ConsoleReporter()


def _longest(column: "pd.Series[str]") -> int:
    return int(max(column.str.len(), default=0))


def _parts(shown: "pd.DataFrame", width: int) -> list[list[str]]:
    """Divide a table's columns into tables that fit a width; each begins with the first column."""
    first, *others = shown.columns
    sizes = {name: max(len(str(name)), _longest(shown[name])) + BORDER for name in shown.columns}
    parts, room = [[first]], width - 1 - sizes[first]
    for name in others:
        if sizes[name] > room and len(parts[-1]) > 1:
            parts.append([first])
            room = width - 1 - sizes[first]
        parts[-1].append(name)
        room -= sizes[name]
    return parts
