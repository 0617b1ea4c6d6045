"""What the page says about the budgets of its searches."""

from darec.models import kind_of
from darec.report.matrix.cells import UNTUNED, Cell, distinct
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import texts
from darec.tuning.study.record import load_study


def budgets(request: Request, results: Results) -> str:
    """Say what the searches could spend: together, or each budget with its models."""
    if not results.any_budget:
        return texts.budget(results.budget)
    found: dict[str, list[str]] = {}
    for cell in distinct(request.cells()):
        if cell.model not in UNTUNED and results.winner(cell) is not None:
            models = found.setdefault(_budget(cell, results), [])
            if cell.row not in models:
                models.append(cell.row)
    return texts.budgets(found, results.budget.seeds)


def _budget(cell: Cell, results: Results) -> str:
    """Say what a search could spend, and what else shortened or narrowed it."""
    kind, study = kind_of(cell.model), load_study(cell.folder(results.out))
    words = [f"{study.budget.trials} trials"]
    if kind.stage1:
        words.append(f"after {study.budget.stage1_trials} in each stage-1 study")
    if not kind.whole_fit:
        words.append(f"of at most {study.budget.max_epochs} epochs")
    if study.budget.time_budget is not None:
        words.append(f"within {study.budget.time_budget:g} s")
    if study.stop_when_flat:
        words.append("or until flat")
    if study.rejudge:
        words.append(f"and {study.rejudge} judged again")
    words += [f"with {name} <= {end:g}" for name, end in study.narrowed.items()]
    return " ".join(words)
