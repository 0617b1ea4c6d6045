"""The page's sections in order; a section without any scores is left out."""

from collections.abc import Iterator
from pathlib import Path

from darec.page.section import Section
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering.answer import answer
from darec.report.rendering.further_sections import (
    cold_items,
    cold_users,
    hyper_parameters,
    parts,
)
from darec.report.rendering.paper_sections import claims, figure2, figure3, table2
from darec.report.rendering.tables import Views
from darec.report.rendering.winners import winners


def sections(request: Request, results: Results, views: Views, folder: Path) -> Iterator[Section]:
    """Yield the sections that were asked for; their figures are written to ``folder``."""
    yield from answer(request, results, folder)
    yield from claims(request, results)
    if request.shows("table2"):
        yield table2(request, results, views)
    if request.shows("fig3"):
        yield from figure3(request, results, folder)
    if request.shows("fig2"):
        yield from figure2(request, results, folder)
    yield from winners(request, results, folder)
    if request.shows("all"):
        yield from cold_items(request, results, folder)
    if request.shows("cold_users"):
        yield from cold_users(request, results, folder)
    if request.shows("all"):
        yield from parts(request, results, folder)
        yield from hyper_parameters(request, results, folder)
