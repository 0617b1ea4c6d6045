"""What a report would run and for how long, said before anything starts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from darec.data.ratings import DomainPair
from darec.data.shuffled import SUFFIX
from darec.models import MODELS
from darec.paper import TABLE_1
from darec.report.matrix.cells import UNTUNED, Cell
from darec.report.matrix.request import Request
from darec.report.matrix.results import Step, Todo
from darec.tuning.study.algorithms import SCHEDULERS

FIT_S = {
    "mean": 0.01,
    "bias": 0.09,
    "shared_bias": 0.08,
    "hierarchical_bias": 0.9,
    "pmf": 2.0,
    "cmf_unbiased": 6.9,
    "cmf": 8.3,
    "cdtf": 1.5,
    "fm_cdcf": 9.4,
    "fm": 35.9,
    "item_knn": 2.1,
    "emcdr": 4.1,
    "ptupcdr": 5.3,
    "conet": 48.7,
    "u_rbm": 138.0,
    "i_rbm": 80.7,
    "u_cf_nade": 89.4,
    "i_cf_nade": 66.2,
    "u_autorec": 28.3,
    "i_autorec": 24.5,
    "u_darec": 56.1,
    "i_darec": 111.0,
}
"""Seconds of a fit of `FIT_EPOCHS` epochs on one core, at `FIT_RATINGS` (docs/performance.md)."""
FIT_EPOCHS, FIT_RATINGS = 30, 199_221
STALLED_SHARE = 0.4
"""Share of the epoch budget that a winner uses on average until its validation RMSE stalls."""
STEP_S = 12.0
"""Seconds that a step takes in addition to its trials or runs."""


def describe(
    cells: Sequence[Cell],
    todo: Todo,
    refused: Mapping[Cell, str],
    request: Request,
    pairs: Mapping[str, DomainPair],
) -> Iterator[str]:
    """Yield the lines of the plan."""
    budget = request.budget
    yield f"{request.what} of {', '.join(request.pairs)}: {len(cells)} searches and their scores"
    yield f"{len(cells) - len(todo) - len(refused)} are done; to run: {len(todo)}"
    for cell, reason in refused.items():
        yield f"  cannot run {cell.name}: {reason}"
    steps = Counter(step for _, missing in todo for step in missing)
    trials = sum(_trials(cell, request) for cell, missing in todo if "search" in missing)
    lines: dict[Step, str] = {
        "search": f"searches with {trials} trials of at most {budget.max_epochs} epochs",
        "evaluate": f"winners scored on {budget.seeds} seeds",
    }
    for step, line in lines.items():
        if steps[step]:
            yield f"  {steps[step]:4} {line}"
    seconds = sum(
        _seconds(cell, step, request, pairs) for cell, missing in todo for step in missing
    )
    if todo:
        yield f"about {seconds / 3600:.1f} hours of one CPU, within a factor of three"


def _trials(cell: Cell, request: Request) -> int:
    """Return a search's trials of all studies; a shared stage 1 costs nothing."""
    stage1 = 2 * request.budget.stage1_trials if MODELS[cell.model].stage1 else 0
    return (0 if cell.base else stage1) + (1 if cell.model in UNTUNED else request.budget.trials)


def _seconds(cell: Cell, step: Step, request: Request, pairs: Mapping[str, DomainPair]) -> float:
    epochs = 1.0 if MODELS[cell.model].whole_fit else request.budget.max_epochs / FIT_EPOCHS
    fit = (
        FIT_S.get(cell.model, max(FIT_S.values()))
        * epochs
        * _ratings(cell, request, pairs)
        / FIT_RATINGS
    )
    share = SCHEDULERS["asha"].epoch_share if step == "search" else STALLED_SHARE
    fit *= 1.0 if MODELS[cell.model].whole_fit else share
    if step == "search":
        return STEP_S + fit * _trials(cell, request)
    return STEP_S + fit * request.budget.seeds * (2 if cell.cold_users else 1)


def _ratings(cell: Cell, request: Request, pairs: Mapping[str, DomainPair]) -> int:
    """Return how many ratings a pair has; one that is not prepared yet has Table 1's number."""
    for name in request.pairs:
        if cell.pair in (name, request.label(name) + SUFFIX):
            if name in pairs:
                return len(pairs[name].source) + len(pairs[name].target)
            return TABLE_1[name].source_ratings + TABLE_1[name].target_ratings
    raise KeyError(cell.pair)
