"""Writes a report's files: the page, its figures, and tables for papers and programs."""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from darec.data.ratings import DomainPair
from darec.data.scale import in_words
from darec.data.store import counts
from darec.evaluation.scores import Score
from darec.files import write, write_json
from darec.page.render import render
from darec.page.section import Section, Table, TableCell
from darec.paper import Counts
from darec.report.matrix.cells import Cell, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import texts
from darec.report.rendering.budgets import budgets
from darec.report.rendering.paper_sections import table2_tables, table2_views
from darec.report.rendering.provenance import origins_shown, provenance
from darec.report.rendering.sections import sections
from darec.report.rendering.tables import Views, comma_separated, latex, markdown


def write_report(
    request: Request,
    results: Results,
    pairs: Mapping[str, DomainPair],
    folder: Path,
    argv: Sequence[str],
    failures: Mapping[Cell, str],
) -> Path:
    """Write the report on all scored cells, and return the path of its page.

    The page lists ``failures``, why a cell has no scores. The same request, scores and failures
    give the same bytes, except in provenance.json, which records the present command. Figures of an
    earlier report are deleted; an earlier table stays if the request does not show it.
    """
    shutil.rmtree(folder / "figures", ignore_errors=True)
    views = table2_views(request, results)
    shown = [
        *sections(request, results, views, folder / "figures"),
        _how_made(request, results, pairs, failures),
    ]
    budget = budgets(request, results)
    warning = [texts.SYNTHETIC] if request.synthetic else []
    warning += [
        texts.scales(request.label(name), pair.source.scale, pair.target.scale)
        for name, pair in pairs.items()
        if in_words(pair.target.scale, pair.source.scale)
    ]
    groups = origins_shown(distinct(request.cells()), results)
    warning += [texts.mixed(len(groups))] if len(groups) > 1 else []
    revised = sorted({score.origin.revision for group in groups for score in group})
    scored_at = ", ".join(revised) or "no revision yet"
    title = f"DARec reproduced: {', '.join(map(request.label, pairs))}"
    notes = [*warning, f"darec {version('darec')}; scores were made at {scored_at}."]
    text = render(title, budget, notes, shown)
    write(folder / "report.html", partial(Path.write_text, data=text))
    note = " ".join([budget, *warning])
    if request.shows("table2"):
        _write_table2(request, views, note, folder)
    for section in shown:
        if section.id == "cold-users":
            text = "\n".join([*map(markdown, section.tables), note, ""])
            write(folder / "cold_users.md", partial(Path.write_text, data=text))
    write_json(folder / "provenance.json", provenance(request, results, pairs, argv))
    return folder / "report.html"


def _write_table2(request: Request, views: Views, note: str, folder: Path) -> None:
    tables = table2_tables(request, views)
    files = {
        "md": "\n".join([*map(markdown, tables), note, ""]),
        "tex": "\n".join([*map(latex, tables), f"% {note}", ""]),
        "csv": comma_separated(views),
    }
    for suffix, text in files.items():
        write(folder / f"table2.{suffix}", partial(Path.write_text, data=text))


def _how_made(
    request: Request,
    results: Results,
    pairs: Mapping[str, DomainPair],
    failures: Mapping[Cell, str],
) -> Section:
    """Say what the data are, and which scores are missing and why."""
    rows = []
    for name, pair in pairs.items():
        numbers = [TableCell(str(value), float(value)) for value in counts(pair).values()]
        said = f"{pair.source.scale}, {pair.target.scale}", pair.digest[:12]
        rows.append([TableCell(request.label(name)), *numbers, *map(TableCell, said)])
    names = [name.replace("_", " ") for name in Counts._fields]
    tables = [Table("data", ["pair", *names, "scales", "SHA-256 begins"], rows)]
    cells = [
        cell
        for cell in distinct(request.cells())
        if not request.present or results.winner(cell) or cell in results.refused
    ]
    if groups := origins_shown(cells, results):
        tables.append(_origins_table(groups))
    unscored = [cell for cell in cells if results.missing(cell)]
    if unscored:
        reasons = [failures.get(cell, "not run to the end") for cell in unscored]
        lines = [
            [TableCell(cell.name), TableCell(reason)]
            for cell, reason in zip(unscored, reasons, strict=True)
        ]
        tables.append(Table("searches without all of their scores", ["search", "why"], lines))
    n_scored = len(cells) - len(unscored)
    text = [f"{n_scored} of {len(cells)} searches are scored.", texts.PROVENANCE]
    return Section("made", "How this page was made", text, tables)


def _origins_table(groups: Sequence[Sequence[Score]]) -> Table:
    """Say which code, libraries and device computed how many scores."""
    rows = []
    for group in groups:
        origin = group[0].origin
        revised = ", ".join(sorted({score.origin.revision for score in group}))
        libraries = ", ".join(f"{name} {origin.versions[name]}" for name in sorted(origin.versions))
        models = ", ".join(dict.fromkeys(score.model for score in group))
        said = (revised, origin.code_digest[:12], libraries, origin.device, models)
        rows.append([*map(TableCell, said), TableCell(str(len(group)), len(group))])
    head = ["revision", "code's SHA-256 begins", "libraries", "device", "models", "scores"]
    return Table("what computed the scores", head, rows)
