"""Tables as LaTeX, Markdown and CSV, and as cells of a page whose rows can be sorted."""

from collections.abc import Iterable, Mapping

import pandas as pd

from darec.data.holdout import TrainPercent
from darec.data.scale import STARS, in_words
from darec.page.section import Table, TableCell
from darec.report.analysis.numbers import Entry
from darec.report.matrix.cells import BIASES

Column = tuple[str, TrainPercent]
"""A pair's label and the share of training ratings."""
Views = Mapping[str, Mapping[Column, Mapping[str, Entry]]]
"""Entries by view (a key of `darec.report.analysis.numbers.VIEWS`), column and row."""
BEST = "surely best"
NO_SCORE = 1e9
"""Sorts after every error."""


def entry_cell(entry: Entry | None) -> TableCell:
    """Return an entry as a cell: mean ± sd, with the paper's number and the verdicts as a note."""
    if entry is None:
        return TableCell("no score", NO_SCORE)
    paper = [] if entry.paper is None else [f"paper {entry.paper:.4f}"]
    paper += [] if entry.by_range is None else [of_range(entry.by_range)]
    loses = [f"loses to {' and '.join(entry.loses_to)}"] if entry.loses_to else []
    notes = ", ".join([*paper, *loses, *([BEST] if entry.best else [])])
    text = shown(entry.mean, entry.sd)
    return TableCell(text, entry.mean, notes, entry.best, bool(entry.loses_to))


def shown(mean: float, sd: float | None) -> str:
    """Return ``mean ± sd``."""
    return f"{mean:.4f}" + (f" ± {sd:.4f}" if sd is not None else "")


def of_range(share: float) -> str:
    """Return an error as a share of the range of its scale."""
    return f"{share:.4f} of the range"


def signed(gap: float) -> str:
    """Return a difference with its sign; a difference that rounds to zero is +0.0000."""
    return f"{round(gap, 4) + 0.0:+.4f}"


def by_column(
    caption: str, models: Iterable[str], columns: Mapping[Column, Mapping[str, Entry]]
) -> Table:
    """Return a table with a row for each model, and a column for each pair and training share."""
    rows = [
        [TableCell(model), *(entry_cell(entries.get(model)) for entries in columns.values())]
        for model in models
    ]
    shares = [
        next((e.cold_share for e in entries.values() if e.cold_share is not None), None)
        for entries in columns.values()
    ]
    foot = [TableCell("" if share is None else f"{100 * share:.1f} %") for share in shares]
    scales = [in_words(next((e.scale for e in own.values()), STARS)) for own in columns.values()]
    head = [
        f"{pair}, {train} %{scale}" for (pair, train), scale in zip(columns, scales, strict=True)
    ]
    head.insert(0, "model")
    return Table(caption, head, rows, [TableCell("cold test ratings"), *foot])


def markdown(table: Table) -> str:
    """Return a table as Markdown; a best entry is bold."""
    body = [[_markdown_cell(cell) for cell in row] for row in table.lines]
    rows = ["| " + " | ".join(row) + " |" for row in (table.head, *body)]
    rows.insert(1, "|" + "---|" * len(table.head))
    return "\n".join([f"**{table.caption}**", "", *rows]) + "\n"


def latex(table: Table) -> str:
    """Return a table as LaTeX for ``booktabs``; a dagger marks what loses to a bias baseline."""
    loses = f"loses to {' or '.join(BIASES)}"
    legend = f"% {table.caption}; bold: {BEST}; dagger: {loses}; (the paper's number)"
    frame = pd.DataFrame(
        [[_latex_cell(cell) for cell in row] for row in table.lines],
        columns=[_escaped(name) for name in table.head],
    )
    columns = "l" + "r" * (len(table.head) - 1)
    return f"{legend}\n{frame.to_latex(index=False, escape=False, column_format=columns)}"


def comma_separated(views: Views) -> str:
    """Return CSV with a line for each view, pair, training share and model."""
    names = ["mean", "sd", "n", "paper", "best", "cold_share", "by_range"]
    lines = [
        (view, pair, train, model, *(getattr(entry, name) for name in names), *_lost(entry))
        for view, columns in views.items()
        for (pair, train), entries in columns.items()
        for model, entry in entries.items()
    ]
    lost = [f"loses_to_{name}" for name in BIASES]
    frame = pd.DataFrame(lines, columns=["view", "pair", "train", "model", *names, *lost])
    return frame.to_csv(index=False, lineterminator="\n")


def _lost(entry: Entry) -> list[bool]:
    return [name in entry.loses_to for name in BIASES]


def _markdown_cell(cell: TableCell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return text + (f" ({cell.note})" if cell.note else "")


def _latex_cell(cell: TableCell) -> str:
    text = _escaped(cell.text).replace("±", r"$\pm$")
    dagger = r"$^\dagger$" if cell.loses else ""
    paper = next((f" ({part})" for part in cell.note.split(", ") if part[:5] == "paper"), "")
    return (rf"\textbf{{{text}}}" if cell.best else text) + dagger + paper


def _escaped(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, rf"\{sign}" if sign != "\\" else r"\textbackslash ")
    return text
