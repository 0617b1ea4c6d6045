"""What the page says about the budgets of its searches."""

from dataclasses import replace

from darec.models import MODELS
from darec.report.matrix.cells import UNTUNED, Budget, Cell, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results, budget_in
from darec.report.rendering import texts


def budgets(request: Request, results: Results) -> str:
    """Say what the searches could spend; each budget with its models if there are several."""
    if not results.any_budget:
        return texts.budget(results.budget)
    found: dict[Budget, list[str]] = {}
    for cell in distinct(request.cells()):
        if cell.model not in UNTUNED and results.winner(cell) is not None:
            models = found.setdefault(_budget(cell, results), [])
            if cell.row not in models:
                models.append(cell.row)
    if len(found) <= 1:
        return texts.budget(next(iter(found), results.budget))
    return texts.budgets(found)


def _budget(cell: Cell, results: Results) -> Budget:
    """Return what a search could spend; what is not its own is as in the request."""
    asked, kind = results.budget, MODELS[cell.model]
    own = replace(budget_in(cell.folder(results.out)), seeds=asked.seeds)
    if kind.whole_fit:
        own = replace(own, max_epochs=asked.max_epochs)
    return own if kind.stage1 else replace(own, stage1_trials=asked.stage1_trials)
