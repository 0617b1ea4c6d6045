"""Where the library's progress and messages go: one object that the caller chooses."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

LOGGER = logging.getLogger("darec")

Advance = Callable[[], None]
"""Counts one more item of a progress bar as done."""
LINE_EVERY_S = 30.0
"""Seconds between two lines about a running study where nothing can be drawn."""


@dataclass(frozen=True)
class TrialView:
    """A trial as a live display shows it."""

    name: str
    epoch: int
    error: float
    """The lowest validation error so far; NaN before the first epoch."""
    drawn: str = ""
    """The hyper-parameters that were drawn, as ``name=value`` words."""


@dataclass(frozen=True)
class StudyView:
    """Where a running study is: what a live display shows."""

    title: str
    trials: int
    """The number of trials that were asked for."""
    ended: Mapping[str, int]
    """How many trials ended in which way: ``completed``, ``stopped early``, ``failed``, ..."""
    running: Sequence[TrialView]
    best: TrialView | None
    measure: str
    """What the errors are: ``RMSE`` for example."""
    to_beat: Mapping[str, float]
    """The same error of the bias baselines, by their names."""
    spent_s: float
    left_s: float | None
    """The expected seconds until the end; None before a trial has ended."""
    an_hour: float | None = None
    """Trials an hour; None before a trial has ended."""
    part: tuple[int, int] = (1, 1)
    """Which of the search's studies this is, and how many there are."""

    @property
    def n_ended(self) -> int:
        """The number of trials that have ended."""
        return sum(self.ended.values())

    @property
    def in_a_line(self) -> str:
        """Return the state in one short line."""
        words = [f"{self.n_ended} of {self.trials} trials"]
        if self.best:
            words.append(f"best validation {self.measure} {self.best.error:.4f}{self.against}")
        words.append(f"{duration(self.spent_s)} spent")
        if self.left_s is not None:
            words.append(f"about {duration(self.left_s)} left")
        return f"{self.title}{self.position}: {', '.join(words)}"

    @property
    def position(self) -> str:
        """Return which of several studies this is, or nothing."""
        number, n_all = self.part
        return f" (study {number} of {n_all})" if n_all > 1 else ""

    @property
    def share_done(self) -> float:
        """Return the share of all studies' trials that have ended, each study counting the same."""
        number, n_all = self.part
        return (number - 1 + self.n_ended / max(1, self.trials)) / n_all

    @property
    def against(self) -> str:
        """Return what is to be beaten in brackets, or nothing."""
        message = ", ".join(f"{name} {error:.4f}" for name, error in self.to_beat.items())
        return f" ({message})" if message else ""


Show = Callable[[StudyView], None]
"""Shows where a study is."""


def in_epochs(count: int) -> str:
    """Return a number of epochs in words, as ``1 epoch``."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as ``45 s``, ``2 min`` or ``1 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def line_now_and_then(tell: Callable[[str], None]) -> Show:
    """Return what shows a study by a line every `LINE_EVERY_S`."""
    told_at = time.monotonic()

    def show(view: StudyView) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= LINE_EVERY_S:
            told_at = time.monotonic()
            tell(view.in_a_line)

    return show


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

    def study(self) -> AbstractContextManager[Show]:
        """Show a running study; the context gives a function to call about once a second."""


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

    @contextmanager
    def study(self) -> Iterator[Show]:
        """Log a line about a running study every `LINE_EVERY_S`."""
        yield line_now_and_then(self.line)


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

    @contextmanager
    def study(self) -> Iterator[Show]:
        """Show nothing of a running study."""
        yield lambda view: None


SILENT = SilentReporter()
