"""The sections of the paper's claims, Table 2, Fig. 3 and Fig. 2."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from darec.core.cold import COLD
from darec.page.section import Section, Table, TableCell
from darec.report.analysis.claims import judge
from darec.report.analysis.numbers import VIEWS, column, errors, stage1_entries, stage1_row
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import figures, texts
from darec.report.rendering.budgets import budgets
from darec.report.rendering.figures import picture
from darec.report.rendering.tables import Views, by_column


def table2_views(request: Request, results: Results) -> Views:
    """Return Table 2's entries by view, column and row."""
    return {
        view: {
            (request.label(pair), train): column(results, request.table2(pair, train), view)
            | stage1_entries(results, request.table2(pair, train), view)
            for pair in request.pairs
            for train in request.train
        }
        for view in VIEWS
    }


def table2_tables(request: Request, views: Views) -> list[Table]:
    """Return Table 2 in each view: a row for each model, and one for its first stage if scored."""
    models = list(dict.fromkeys(cell.row for cell in request.table2("", 90)))
    names = [row for model in models for row in (model, stage1_row(model))]
    found = []
    for view, columns in views.items():
        scored = {row for entries in columns.values() for row in entries}
        always = [] if request.present else models
        rows = [name for name in names if name in always or name in scored]
        found.append(by_column(texts.VIEW_TITLES[view], rows, columns))
    return found


def claims(request: Request, results: Results) -> Iterator[Section]:
    """Yield the verdict on each claim, if any claim can be judged."""
    found = judge(request, results)
    if found:
        rows = [
            [TableCell(text) for text in (each.claim, each.pair, each.verdict, each.evidence)]
            for each in found
        ]
        table = Table("claims of the paper", ["claim", "on", "verdict", "evidence"], rows)
        yield Section("claims", "Which of the paper's claims hold", [texts.CLAIMS], [table])


def table2(request: Request, results: Results, views: Views) -> Section:
    """Return Table 2, also if no model is scored."""
    title, tables = "Table 2: cross-domain models", table2_tables(request, views)
    foot = budgets(request, results)
    return Section("table2", title, texts.TABLE_2, tables, foot=foot)


def figure3(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield Fig. 3 with a panel for each pair and training share that has scores."""
    columns = {
        (request.label(pair), train): found
        for pair in request.pairs
        for train in request.train
        if (found := column(results, request.figure3(pair, train)))
    }
    if not columns:
        return
    pictures = [
        picture(
            folder,
            f"fig3-{pair}-{train}",
            f"{pair}, {train} % training: mean and standard deviation over seeds, cold={COLD}.",
            f"Test RMSE on {pair}: " + ", ".join(f"{m} {e.mean:.4f}" for m, e in entries.items()),
            {f"{pair}, {train} %": figures.models(entries)},
            high=figures.height_of(entries),
        )
        for (pair, train), entries in columns.items()
    ]
    models = [cell.row for cell in request.figure3("", 90)]
    if request.present:
        models = [name for name in models if any(name in entries for entries in columns.values())]
    title = "Fig. 3: single-domain models and DARec"
    table = by_column(texts.VIEW_TITLES[COLD], models, columns)
    foot = budgets(request, results)
    yield Section("fig3", title, [texts.FIGURE_3], [table], pictures, foot)


def figure2(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield Fig. 2 with a panel for each pair that has scores."""
    pictures = []
    for pair in request.pairs:
        found = {
            key: values
            for key, cell in request.figure2(pair).items()
            if (values := errors(results, cell))
        }
        if found:
            means = ", ".join(
                f"{model} {size}: {np.mean(v):.4f}" for (model, size), v in found.items()
            )
            label = request.label(pair)
            pictures.append(
                picture(
                    folder,
                    f"fig2-{label}",
                    f"{label}: extractor 100, all else searched at every size; 90 % training.",
                    f"Test RMSE by embedding size on {label}: {means}",
                    {label: figures.sizes(found)},
                )
            )
    if pictures:
        title = "Fig. 2: the size of the embedding"
        foot = budgets(request, results)
        yield Section("fig2", title, [texts.FIGURE_2], [], pictures, foot)
