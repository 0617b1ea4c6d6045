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
    """Receives what the library has to tell a person; library code never prints.

    The commands draw it on a terminal (`darec.cli.console`). Pass your own object to
    `darec.search` or `darec.evaluate` to show it elsewhere, or `SILENT` to drop it.
    """

    def line(self, text: str) -> None:
        """Show one message; it may contain line breaks, and no markup."""

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Show a table: its index holds the row labels."""

    def progress(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show a progress bar for ``total`` items; call what the context gives once per item."""


class LogReporter:
    """Sends every message to the logger ``darec`` at level INFO, which is silent by default."""

    def line(self, text: str) -> None:
        """Log one message."""
        LOGGER.info(text)

    def table(self, title: str, table: "pd.DataFrame") -> None:
        """Log a table as plain text."""
        LOGGER.info("%s\n%s", title, table.to_string())

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """Log how many of the items are done, one message each."""
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
        """Count nothing."""
        yield lambda: None


SILENT = SilentReporter()
