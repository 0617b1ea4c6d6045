"""The report's files: one page, tables for papers and programs, figures, provenance."""

import os
import platform
import shutil
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from darec.data.ratings import DomainPair
from darec.data.store import counts
from darec.files import write, write_json
from darec.models.best import load_study
from darec.paper import Counts
from darec.provenance import revision, versions
from darec.report import texts
from darec.report.cells import Cell, Results, distinct
from darec.report.content import (
    Section,
    Views,
    budget,
    sections,
    table2_tables,
    table2_views,
)
from darec.report.sections import Request
from darec.report.tables import Table, TableCell, comma_separated, latex, markdown

LIBRARIES = ("numpy", "scipy", "pandas", "torch", "ray", "optuna", "matplotlib", "jinja2")


def write_report(
    request: Request,
    results: Results,
    pairs: Mapping[str, DomainPair],
    folder: Path,
    argv: list[str],
    failures: Mapping[Cell, str],
) -> Path:
    """Write the report of what was scored and return its page; it lists why cells failed.

    The same scores and failures give the same bytes, but for provenance.json, which says what was
    run now. Figures of an earlier request do not stay, a Table 2 that is not asked for now does.
    """
    drawn = folder / "figures"
    shutil.rmtree(drawn, ignore_errors=True)
    views = table2_views(request, results)
    told = [*sections(request, results, views, drawn), _made(request, results, pairs, failures)]
    environment = Environment(
        loader=PackageLoader("darec.report", "."), autoescape=True, undefined=StrictUndefined
    )
    said = f"{budget(request)} {texts.SYNTHETIC}" if request.synthetic else budget(request)
    text = environment.get_template("page.html.j2").render(
        title=f"DARec reproduced: {', '.join(map(request.label, pairs))}",
        budget=budget(request),
        made=[
            *([texts.SYNTHETIC] if request.synthetic else []),
            f"darec {version('darec')}; scores made at {_revisions(request, results)}.",
        ],
        sections=told,
    )
    write(folder / "report.html", partial(Path.write_text, data=text))
    if request.has("table2"):
        _write_table2(request, views, said, folder)
    write_json(folder / "provenance.json", _provenance(request, results, pairs, argv))
    return folder / "report.html"


def _write_table2(request: Request, views: Views, said: str, folder: Path) -> None:
    tables = table2_tables(request, views)
    files = {
        "md": "\n".join([*map(markdown, tables), said, ""]),
        "tex": "\n".join([*map(latex, tables), f"% {said}", ""]),
        "csv": comma_separated(views),
    }
    for suffix, text in files.items():
        write(folder / f"table2.{suffix}", partial(Path.write_text, data=text))


def _made(
    request: Request,
    results: Results,
    pairs: Mapping[str, DomainPair],
    failures: Mapping[Cell, str],
) -> Section:
    """Say what the data are, what is missing, and how to make the page again."""
    rows = []
    for name, pair in pairs.items():
        numbers = [TableCell(str(value), float(value)) for value in counts(pair).values()]
        rows.append([TableCell(request.label(name)), *numbers, TableCell(pair.digest[:12])])
    names = [name.replace("_", " ") for name in Counts._fields]
    tables = [Table("data", ["pair", *names, "SHA-256 begins"], rows)]
    cells = distinct(request.cells())
    left = [cell for cell in cells if results.missing(cell)]
    if left:
        lost = [[TableCell(c.name), TableCell(failures.get(c, "not run to the end"))] for c in left]
        tables.append(Table("searches without all of their scores", ["search", "why"], lost))
    text = [f"{len(cells) - len(left)} of {len(cells)} searches are scored.", texts.PROVENANCE]
    return Section("made", "How this was made", text, tables)


def _provenance(
    request: Request, results: Results, pairs: Mapping[str, DomainPair], argv: list[str]
) -> dict[str, Any]:
    cells = distinct(request.cells())
    seeds = {cell.name: [score.split_seed for score in results.scores(cell)] for cell in cells}
    return {
        "argv": argv,
        "revision": revision(),
        "revisions_of_scores": _revisions(request, results).split(", "),
        "versions_of_scores": _unique(request, results),
        "versions": {**versions(), **{name: version(name) for name in LIBRARIES}},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "data_sha256": {request.label(name): pair.digest for name, pair in pairs.items()}
        | results.digests,
        "budget": vars(request.budget),
        "seeds": seeds,
        "winners": {cell.name: _winner(results, cell) for cell in cells if results.winner(cell)},
    }


def _winner(results: Results, cell: Cell) -> dict[str, Any]:
    """Return what a search found, and what code and libraries it ran with."""
    best, study = results.winner(cell), load_study(cell.folder(results.out))
    assert best is not None
    kept = ("config", "epoch", "valid_rmse", "trials", "data_digest")
    ran = {name: study.get(name) for name in ("argv", "revision", "versions")}
    return {**{name: getattr(best, name) for name in kept}, **ran}


def _unique(request: Request, results: Results) -> list[dict[str, str]]:
    """Return the library versions that scores were made with, each set once."""
    cells = distinct(request.cells())
    found = {tuple(sorted(s.versions.items())) for cell in cells for s in results.scores(cell)}
    return [dict(each) for each in sorted(found)]


def _revisions(request: Request, results: Results) -> str:
    cells = distinct(request.cells())
    found = {score.revision for cell in cells for score in results.scores(cell)}
    return ", ".join(sorted(found)) or "no revision yet"
