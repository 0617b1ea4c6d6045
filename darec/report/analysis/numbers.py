"""The numbers of a table's column: mean and spread of each model, and what they are compared to."""

from collections.abc import Sequence
from dataclasses import dataclass

from darec.core.cold import COLD, ColdPolicy
from darec.data.holdout import TrainPercent
from darec.data.scale import STARS, Scale
from darec.evaluation.summary import summarise
from darec.paper import TABLE_2 as PAPER
from darec.report.analysis.statistics import SAME, surely_best
from darec.report.matrix.cells import BIASES, Cell
from darec.report.matrix.results import Results

VIEWS: dict[str, tuple[ColdPolicy, str]] = {
    "hierarchical": ("hierarchical", "test_rmse"),
    "fallback": ("fallback", "test_rmse"),
    "floor": ("floor", "test_rmse"),
    "warm": ("hierarchical", "warm_rmse"),
}
"""What a table can show: a cold policy, and a field of `darec.evaluation.scores.Score`."""


@dataclass(frozen=True)
class Entry:
    """A model's RMSE over seeds in one column, in the units of the target's ratings."""

    mean: float
    sd: float | None
    n: int
    paper: float | None
    """The number that the paper prints, on its own four pairs."""
    cold_share: float | None
    """Share of the column's test ratings that are cold."""
    best: bool = False
    """Whether it is significantly lower than every other entry of the column."""
    loses_to: tuple[str, ...] = ()
    """The bias baselines whose mean is below its own."""
    scale: Scale = STARS
    """The scale of the target's ratings."""

    @property
    def by_range(self) -> float | None:
        """The mean as a share of the scale's range; None on the scale from 1 to 5."""
        return self.scale.share(self.mean)


def errors(results: Results, cell: Cell, view: str = COLD) -> list[float]:
    """Return a cell's RMSE by seed; empty unless all seeds have it."""
    policy, figure = VIEWS[view]
    values = [getattr(score, figure) for score in results.scores(cell, policy)]
    return [] if None in values else values


def column(results: Results, cells: Sequence[Cell], view: str = COLD) -> dict[str, Entry]:
    """Return the entries of a column by `Cell.row`; models without scores are left out.

    Where searches of any budget are shown, only those that are there count for who is surely best.
    """
    known = {cell.row: values for cell in cells if (values := errors(results, cell, view))}
    best, share, entries = None, cold_share(results, cells), {}
    if known and (results.any_budget or len(known) == len(cells)):
        best = surely_best(known, cells[0].train)
    biases = {name: summarise(known[name]).mean for name in BIASES if name in known}
    for cell in cells:
        if cell.row not in known:
            continue
        summary = summarise(known[cell.row])
        entries[cell.row] = Entry(
            summary.mean,
            summary.sd,
            summary.n,
            None if view == "warm" else _paper(cell.pair, cell.train, cell.row),
            share,
            best=cell.row == best,
            loses_to=tuple(name for name, mean in biases.items() if summary.mean > mean + SAME),
            scale=results.scores(cell)[0].scale,
        )
    return entries


def cold_share(results: Results, cells: Sequence[Cell]) -> float | None:
    """Return the mean share of cold test ratings, from the first scored cell of a column."""
    for cell in cells:
        if scores := results.scores(cell):
            return summarise([score.cold_share for score in scores]).mean
    return None


def _paper(pair: str, train: TrainPercent, model: str) -> float | None:
    row = {"cmf_unbiased": "cmf", "cmf": ""}.get(model, model)  # the paper's CMF has no biases
    return PAPER[pair][row][train == 90] if row in PAPER.get(pair, {}) else None


def stage1_entries(results: Results, cells: Sequence[Cell], view: str) -> dict[str, Entry]:
    """Return the entries of the two-stage models' first stages alone, by `stage1_row`."""
    policy, entries = VIEWS[view][0], {}
    for cell in cells:
        scores = results.scores(cell, policy)
        found = [score.stage1_rmse for score in scores]
        values = [value for value in found if value is not None]
        if view != "warm" and values and len(values) == len(found):
            each = summarise(values)
            entries[stage1_row(cell.row)] = Entry(
                each.mean, each.sd, each.n, None, None, scale=scores[0].scale
            )
    return entries


def stage1_row(model: str) -> str:
    """Return the row label of a two-stage model's first stage."""
    return f"{model}: its stage 1"
