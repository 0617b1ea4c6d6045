"""Draws a running study on a terminal: one block of a few lines, each cut to the width."""

import math

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from darec.reporter import StudyView, TrialView, duration

MOST_RUNNING = 6
"""The most running trials that are shown."""
BAR = 24
"""The width of the bar in characters."""


def block(view: StudyView) -> RenderableType:
    """Return what is drawn: a bar, the best trial, the running trials and how trials ended."""
    title = Text(f"{view.title}{view.position}", style="bold")
    lines = [title, *_bars(view), *_best(view), *_running(view)]
    if view.ended:
        lines.append(_line("ended", ", ".join(f"{n} {end}" for end, n in view.ended.items())))
    return Group(*lines)


def _bars(view: StudyView) -> list[RenderableType]:
    """Return a bar over the trials of this study, and above it one over all studies if several."""
    words = [f"{view.n_ended} of {view.trials} trials", duration(view.spent_s)]
    if view.left_s is not None:
        words.append(f"about {duration(view.left_s)} left")
    if view.an_hour:
        words.append(f"{view.an_hour:.0f} an hour")
    own = _bar(view.n_ended / max(1, view.trials), ", ".join(words))
    n_all = view.part[1]
    return [_bar(view.share_done, f"all {n_all} studies"), own] if n_all > 1 else [own]


def _bar(share: float, words: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=BAR)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(total=1.0, completed=share, width=BAR), Text(words))
    return grid


def _best(view: StudyView) -> list[Text]:
    best = view.best
    if best is None:
        return [_line("best", f"no epoch yet{view.against}")]
    found = f"{view.measure} {best.error:.4f}, trial {best.name}{view.against}"
    lines = [_line("best", found, "green" if _beats(view, best) else "")]
    return [*lines, _line("", best.drawn)] if best.drawn else lines


def _beats(view: StudyView, best: TrialView) -> bool:
    return bool(view.to_beat) and best.error < min(view.to_beat.values())


def _running(view: StudyView) -> list[Text]:
    shown = view.running[:MOST_RUNNING]
    lines = [
        _line("" if n else "running", _progress_of(trial, view.measure))
        for n, trial in enumerate(shown)
    ]
    if more := len(view.running) - len(shown):
        lines.append(_line("", f"and {more} more"))
    return lines


def _progress_of(trial: TrialView, measure: str) -> str:
    if math.isnan(trial.error):
        return f"trial {trial.name}, before its first report"
    return f"trial {trial.name}, epoch {trial.epoch}, {measure} {trial.error:.4f}"


def _line(label: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{label:8}", "dim"), (text, style), no_wrap=True, overflow="ellipsis")
