"""What provenance.json records: the command, code, libraries, machine, data, seeds, winners."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from darec.data.ratings import DomainPair
from darec.models.best import Best
from darec.provenance import revision, versions
from darec.report.matrix.cells import Cell, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.tuning.study.record import load_study

LIBRARIES = ("numpy", "scipy", "pandas", "torch", "ray", "optuna", "matplotlib", "jinja2")


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
        "revisions_of_scores": revisions(request, results),
        "versions_of_scores": _versions(request, results),
        "versions": {**versions(), **{name: version(name) for name in LIBRARIES}},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "data_sha256": {request.label(name): pair.digest for name, pair in pairs.items()}
        | results.digests,
        "budget": vars(request.budget),
        "seeds": seeds,
        "winners": {cell.name: _winner(results, cell, best) for cell, best in winners.items()},
    }


def revisions(request: Request, results: Results) -> list[str]:
    """Return the revisions of the code that made the scores, sorted."""
    cells = distinct(request.cells())
    return sorted({score.revision for cell in cells for score in results.scores(cell)})


def _versions(request: Request, results: Results) -> list[dict[str, str]]:
    """Return each set of library versions that made scores, once."""
    cells = distinct(request.cells())
    found = {tuple(sorted(s.versions.items())) for cell in cells for s in results.scores(cell)}
    return [dict(each) for each in sorted(found)]


def _winner(results: Results, cell: Cell, best: Best) -> dict[str, Any]:
    """Return what a search found, and the code and libraries that ran it."""
    study = load_study(cell.folder(results.out))
    kept = ("config", "epoch", "valid_rmse", "trials", "data_digest")
    ran = {name: getattr(study, name) for name in ("arguments", "revision", "versions")}
    return {**{name: getattr(best, name) for name in kept}, **ran}
