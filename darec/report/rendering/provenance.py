"""What provenance.json records: the command, code, libraries, machine, data, scores, winners."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.evaluation.origin import by_origin
from darec.evaluation.scores import Score
from darec.models.best import Best
from darec.provenance import code_digest, revision, versions
from darec.report.matrix.cells import Cell, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.tuning.study.record import load_study

REQUEST = TypeAdapter(Request)
OF_THE_PAGE = ("pandas", "matplotlib", "jinja2")
"""Libraries that draw the page."""


def provenance(
    request: Request, results: Results, pairs: Mapping[str, DomainPair], argv: Sequence[str]
) -> dict[str, Any]:
    """Return what made the present report, and what made the scores in it."""
    cells = distinct(request.cells())
    seeds = {cell.name: [score.split_seed for score in results.scores(cell)] for cell in cells}
    winners = {cell: best for cell in cells if (best := results.winner(cell))}
    return {
        "argv": list(argv),
        "revision": revision(),
        "code_digest": code_digest(),
        "scores": [_group(cells, group, results) for group in origins_shown(cells, results)],
        "versions": {**versions(), **{name: version(name) for name in OF_THE_PAGE}},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "data_sha256": {request.label(name): pair.digest for name, pair in pairs.items()}
        | results.digests,
        "request": asdict(request),
        "seeds": seeds,
        "winners": {cell.name: _winner(results, cell, best) for cell, best in winners.items()},
    }


def request_in(folder: Path) -> Request | None:
    """Return what the page in a folder shows; None if there is none, or only an older one."""
    try:
        made = json.loads((folder / "provenance.json").read_text())
        return REQUEST.validate_python(made["request"])
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None


def origins_shown(cells: Sequence[Cell], results: Results) -> list[list[Score]]:
    """Return the scores of a report in groups, those of one origin in each."""
    groups = by_origin(score for cell in cells for score in results.shown(cell))
    return sorted(groups, key=lambda group: group[0].origin.shown())


def _group(cells: Sequence[Cell], group: Sequence[Score], results: Results) -> dict[str, Any]:
    """Return what computed a group of scores, and how many of each search they are."""
    origin = group[0].origin
    numbers = {
        cell.name: sum(not score.origin.differences(origin) for score in results.shown(cell))
        for cell in cells
    }
    return {
        "origin": asdict(origin),
        "revisions": sorted({score.origin.revision for score in group}),
        "number": {name: n for name, n in numbers.items() if n},
    }


def _winner(results: Results, cell: Cell, best: Best) -> dict[str, Any]:
    """Return what a search found, and the code and libraries that ran it."""
    study = load_study(cell.folder(results.out))
    kept = ("config", "epoch", "valid_rmse", "trials", "data_digest")
    ran = {name: getattr(study, name) for name in ("arguments", "revision", "versions", "code")}
    return {**{name: getattr(best, name) for name in kept}, **ran}
