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
from darec.provenance import revision, versions
from darec.report import texts
from darec.report.cells import Results, distinct
from darec.report.content import Section, Views, sections, table2_tables, table2_views
from darec.report.sections import Request
from darec.report.tables import Table, TableCell, comma_separated, latex, markdown

LIBRARIES = ("numpy", "scipy", "pandas", "torch", "ray", "optuna", "matplotlib", "jinja2")


def write_report(
    request: Request,
    results: Results,
    pairs: Mapping[str, DomainPair],
    folder: Path,
    argv: list[str],
) -> Path:
    """Write the report of what was scored and return its page.

    The same scores give the same bytes; a figure of an earlier request does not stay.
    """
    drawn = folder / "figures"
    shutil.rmtree(drawn, ignore_errors=True)
    views = table2_views(request, results)
    told = [*sections(request, results, views, drawn), _made(request, results, pairs)]
    environment = Environment(
        loader=PackageLoader("darec.report", "."), autoescape=True, undefined=StrictUndefined
    )
    budget = _budget(request)
    text = environment.get_template("page.html.j2").render(
        title=f"DARec reproduced: {', '.join(_labels(request, pairs))}",
        budget=budget,
        made=f"darec {version('darec')}, scores made at {_revisions(request, results)}.",
        sections=told,
    )
    write(folder / "report.html", partial(Path.write_text, data=text))
    if request.has("table2"):
        _write_table2(request, views, budget, folder)
    write_json(folder / "provenance.json", _provenance(request, results, pairs, argv))
    return folder / "report.html"


def _write_table2(request: Request, views: Views, budget: str, folder: Path) -> None:
    tables = table2_tables(request, views)
    files = {
        "md": "\n".join([*map(markdown, tables), budget, ""]),
        "tex": "\n".join([*map(latex, tables), f"% {budget}", ""]),
        "csv": comma_separated(views),
    }
    for suffix, text in files.items():
        write(folder / f"table2.{suffix}", partial(Path.write_text, data=text))


def _budget(request: Request) -> str:
    budget = request.budget
    return (
        f"The same budget for every model: {budget.trials} trials of at most {budget.max_epochs} "
        f"epochs, after {budget.stage1_trials} per stage-1 study for DARec; winners by validation "
        f"RMSE, scored on {budget.seeds} seeds."
    )


def _made(request: Request, results: Results, pairs: Mapping[str, DomainPair]) -> Section:
    """Say what the data are, what is missing, and how to make the page again."""
    rows = []
    for label, pair in zip(_labels(request, pairs), pairs.values(), strict=True):
        numbers = [TableCell(str(value), float(value)) for value in counts(pair).values()]
        rows.append([TableCell(label), *numbers, TableCell(pair.digest[:12])])
    names = [name.replace("_", " ") for name in counts(next(iter(pairs.values())))]
    table = Table("data", ["pair", *names, "SHA-256 begins"], rows)
    cells = distinct(request.cells())
    left = [cell.name for cell in cells if results.missing(cell)]
    text = [f"{len(cells) - len(left)} of {len(cells)} searches are scored."]
    if left:
        text.append(f"Not yet, or failed: {', '.join(left)}.")
    if request.synthetic:
        text.append(texts.SYNTHETIC)
    text.append(texts.PROVENANCE)
    return Section("made", "How this was made", text, [table])


def _provenance(
    request: Request, results: Results, pairs: Mapping[str, DomainPair], argv: list[str]
) -> dict[str, Any]:
    names = zip(_labels(request, pairs), pairs.values(), strict=True)
    seeds = {
        cell.name: [score.split_seed for score in results.scores(cell)]
        for cell in distinct(request.cells())
    }
    return {
        "argv": argv,
        "revision": revision(),
        "revisions_of_scores": _revisions(request, results).split(", "),
        "versions": {**versions(), **{name: version(name) for name in LIBRARIES}},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "data_sha256": {label: pair.digest for label, pair in names},
        "budget": vars(request.budget),
        "seeds": seeds,
    }


def _revisions(request: Request, results: Results) -> str:
    cells = distinct(request.cells())
    found = {score.revision for cell in cells for score in results.scores(cell)}
    return ", ".join(sorted(found)) or "no revision yet"


def _labels(request: Request, pairs: Mapping[str, DomainPair]) -> list[str]:
    return [f"{name}-synthetic" if request.synthetic else name for name in pairs]
