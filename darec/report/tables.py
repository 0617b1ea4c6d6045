"""Tables as Markdown, CSV, LaTeX, and as cells of a page that sort."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from darec.data.split import TrainPercent
from darec.report.numbers import Entry

Column = tuple[str, TrainPercent]
LOSES, BEST = "loses to bias", "surely best"
NO_SCORE = 1e9
"""Sorts after every error."""


@dataclass(frozen=True)
class TableCell:
    """What a cell says, and what its column sorts by."""

    text: str
    sort: float | str = ""
    note: str = ""
    """Said below, in small."""
    best: bool = False
    loses: bool = False


@dataclass(frozen=True)
class Table:
    """A caption, a head and rows; the first cell of each is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    foot: Sequence[TableCell] = ()
    """A last row, which stays below where the others are sorted."""

    @property
    def lines(self) -> Sequence[Sequence[TableCell]]:
        """The rows, and the one below them if there is one."""
        return [*self.rows, self.foot] if self.foot else self.rows


def entry_cell(entry: Entry | None) -> TableCell:
    """Return an entry as a cell: mean ± sd, with the paper's number and the verdicts below."""
    if entry is None:
        return TableCell("no score", NO_SCORE)
    paper = [] if entry.paper is None else [f"paper {entry.paper:.4f}"]
    said = [*paper, *([LOSES] if entry.loses else []), *([BEST] if entry.best else [])]
    return TableCell(
        shown(entry.mean, entry.sd), entry.mean, ", ".join(said), entry.best, entry.loses
    )


def shown(mean: float, sd: float | None) -> str:
    """Return ``mean ± sd``."""
    return f"{mean:.4f}" + (f" ± {sd:.4f}" if sd is not None else "")


def signed(gap: float) -> str:
    """Return a difference with its sign; one that rounds to zero has none of its own."""
    return f"{round(gap, 4) + 0.0:+.4f}"


def by_column(
    caption: str, models: Iterable[str], columns: Mapping[Column, Mapping[str, Entry]]
) -> Table:
    """Return a table of a row per model and a column per pair and share of training ratings."""
    rows = [
        [TableCell(model), *(entry_cell(entries.get(model)) for entries in columns.values())]
        for model in models
    ]
    shares = [
        next((e.cold_share for e in entries.values() if e.cold_share is not None), None)
        for entries in columns.values()
    ]
    told = [TableCell("" if s is None else f"{100 * s:.1f} %") for s in shares]
    head = ["model", *(f"{pair}, {train} %" for pair, train in columns)]
    return Table(caption, head, rows, [TableCell("cold test ratings"), *told])


def markdown(table: Table) -> str:
    """Return a table as Markdown; what is surely best is bold."""
    lines = [f"**{table.caption}**", "", "| " + " | ".join(table.head) + " |"]
    lines.append("|" + "---|" * len(table.head))
    for row in table.lines:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in row]
        notes = [f" ({cell.note})" if cell.note else "" for cell in row]
        lines.append("| " + " | ".join(map("".join, zip(texts, notes, strict=True))) + " |")
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """Return a table as LaTeX for ``booktabs``; daggers mark rows that lose to the bias."""
    spec, end = "l" + "r" * (len(table.head) - 1), r" \\"
    told = f"% {table.caption}; bold: {BEST}; dagger: {LOSES}; (the paper's number)"
    lines = [told, rf"\begin{{tabular}}{{{spec}}}", r"\toprule"]
    lines += [" & ".join(map(_escaped, table.head)) + end, r"\midrule"]
    for row in table.lines:
        lines.append(" & ".join(map(_latex_cell, row)) + end)
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def comma_separated(views: Mapping[str, Mapping[Column, Mapping[str, Entry]]]) -> str:
    """Return a line per view, pair, share and model, for programs."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    names = ["mean", "sd", "n", "paper", "best", "loses", "cold_share"]
    table.writerow(["view", "pair", "train", "model", *names])
    for view, columns in views.items():
        for (pair, train), entries in columns.items():
            for model, entry in entries.items():
                table.writerow([view, pair, train, model, *(getattr(entry, n) for n in names)])
    return text.getvalue()


def _latex_cell(cell: TableCell) -> str:
    text = _escaped(cell.text).replace("±", r"$\pm$")
    dagger = r"$^\dagger$" if cell.loses else ""
    paper = next((f" ({part})" for part in cell.note.split(", ") if part[:5] == "paper"), "")
    return (rf"\textbf{{{text}}}" if cell.best else text) + dagger + paper


def _escaped(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, rf"\{sign}" if sign != "\\" else r"\textbackslash ")
    return text
