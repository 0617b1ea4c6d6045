"""Where the library's progress and messages go: one object that the caller chooses."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

LOGGER = logging.getLogger("darec")

Advance = Callable[[], None]
"""Counts one more item of a progress bar as done."""


class Reporter(Protocol):
    """Receives the library's messages, tables and progress; library code never prints.

    The commands show them on a terminal (`darec.cli.console`). Pass your own object to
    `darec.search` or `darec.evaluate` to show them elsewhere, or `SILENT` to drop them.
    """

    def line(self, text: str) -> None:
        """Show one message. It may contain line breaks, and is shown as it is, without markup."""

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Show a table: its index holds the row labels."""

    def progress(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show progress over ``total`` items; the context gives a function to call per item."""


class LogReporter:
    """Logs every message to ``darec`` at level INFO, which Python does not show by default."""

    def line(self, text: str) -> None:
        """Log one message."""
        LOGGER.info(text)

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Log a table as plain text."""
        LOGGER.info("%s\n%s", title, table.to_string())

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Log the number of finished items after each item."""
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            LOGGER.info("%s: %d of %d", label, done, total)

        yield advance


class SilentReporter:
    """Drops every message."""

    def line(self, text: str) -> None:
        """Drop a message."""

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Drop a table."""

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Show no progress."""
        yield lambda: None


SILENT = SilentReporter()
