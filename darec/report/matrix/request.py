"""What a report shows, and which cells each of its sections needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from darec.data.holdout import ColdPercent, TrainPercent
from darec.errors import UserError
from darec.models import MODELS
from darec.report.matrix import cells
from darec.report.matrix.cells import BASELINES, Budget, Cell

What = Literal["table2", "fig2", "fig3", "cold_users", "all"]
"""One of the paper's tables and figures, the cold-user task, or these and all other sections."""


@dataclass(frozen=True)
class Request:
    """What was asked for. Raises `UserError` for an unknown name, or if there is nothing to do."""

    what: What
    pairs: tuple[str, ...]
    models: tuple[str, ...]
    """Only these models and the trivial baselines; empty means all models."""
    train: tuple[TrainPercent, ...]
    synthetic: bool
    budget: Budget
    cold_share: ColdPercent = 20
    """Percent of the users who are test users of the cold-user task."""
    earlier: tuple[What, ...] = ()
    """What earlier requests asked for; the page still shows it."""
    mixed: bool = False
    """Whether one of them had another budget."""
    present: bool = False
    """Whether the page shows only searches that are there, ``more`` of them among others."""
    more: tuple[str, ...] = ()
    """Further models, which Table 2 shows below those of the paper."""

    def __post_init__(self) -> None:
        if self.what not in get_args(What):
            known = ", ".join(get_args(What))
            raise UserError(f"a report shows one of {known}, but got {self.what!r}")
        for percent in self.train:
            if percent not in get_args(TrainPercent):
                raise UserError(f"--train must be 90, 80 or both, but got {percent!r}")
        if self.cold_share not in get_args(ColdPercent):
            raise UserError(f"--cold-share must be 20, 50 or 80, but got {self.cold_share!r}")
        for name in self.models:
            if name not in (*MODELS, *self.more):
                known = ", ".join([*MODELS, *self.more])
                raise UserError(f"--models must be of {known}, but got {name!r}")
        if not self.pairs or not self.train:
            raise UserError("--pairs and --train must name something, but got nothing")
        if unseen := set(self.models) - {cell.model for cell in self.cells()}:
            its = sorted({cell.model for cell in replace(self, models=()).cells()})
            message = f"{self.what} shows none of {', '.join(sorted(unseen))}"
            raise UserError(f"--models: {message}; it has {', '.join(its)}")

    def label(self, pair: str) -> str:
        """Return a pair's name in results."""
        return Cell(pair, 90, "", self.synthetic).label

    def shows(self, section: What) -> bool:
        """Whether the report has a section that can also be asked for by itself."""
        return not {self.what, *self.earlier}.isdisjoint((section, "all"))

    def with_earlier(self, other: "Request") -> "Request":
        """Return this request, extended by what the page of an earlier request shows.

        If they differ in more than ``what`` and the budget, this request is returned unchanged.
        """
        same = replace(
            other,
            what=self.what,
            pairs=self.pairs if set(self.pairs) == set(other.pairs) else other.pairs,
            earlier=self.earlier,
            budget=self.budget,
            mixed=self.mixed,
            present=self.present,
            more=self.more,
        )
        if same != self:
            return self
        earlier = tuple(dict.fromkeys((*other.earlier, other.what)))
        mixed = other.mixed or other.budget != self.budget
        return replace(self, earlier=earlier, mixed=mixed)

    def cells(self) -> list[Cell]:
        """Return the cells of all sections; a cell of two sections is in the list twice."""
        columns = [(pair, train) for pair in self.pairs for train in self.train]
        found = [cell for column in columns for cell in self.further(*column)]
        if self.shows("table2"):
            found += [cell for column in columns for cell in self.table2(*column)]
        if self.shows("fig3"):
            found += [cell for column in columns for cell in self.figure3(*column)]
        for pair in self.pairs:
            if self.shows("fig2"):
                found += self.figure2(pair).values()
            if self.shows("cold_users"):
                found += self.cold_users(pair)
            if self.shows("all"):
                whole = (*cells.BIASES, *cells.DAREC)  # the further sections need them at 90 %
                found += self._kept(
                    [cells.printed(pair, 90, name, self.synthetic) for name in whole]
                )
                found += self.parts(pair).values()  # after the searches whose stage 1 they share
        return found

    def table2(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return the cells of one column of Table 2."""
        return self._kept(cells.table2(pair, train, self.synthetic)) + self.further(pair, train)

    def further(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return a column's cells of models that the paper's tables do not have."""
        return [Cell(pair, train, name, self.synthetic) for name in self.more]

    def figure3(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return the cells of one panel of Fig. 3."""
        return self._kept(cells.figure3(pair, train, self.synthetic))

    def figure2(self, pair: str) -> dict[tuple[str, int], Cell]:
        """Return the cells of one panel of Fig. 2, by model and embedding size."""
        found = cells.figure2(pair, self.synthetic)
        return {key: cell for key, cell in found.items() if self._keeps(cell)}

    def parts(self, pair: str) -> dict[tuple[str, str], Cell]:
        """Return DARec with each part changed, by model and the change's label."""
        found = cells.parts(pair, self.synthetic)
        return {key: cell for key, cell in found.items() if self._keeps(cell)}

    def cold_users(self, pair: str) -> list[Cell]:
        """Return the cells of the cold-user task."""
        return self._kept(cells.cold_users(pair, self.cold_share, self.synthetic))

    def whole_models(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return a column's cells of the warm task that hold no hyper-parameter fixed, once."""
        warm = [cell for cell in self.cells() if cell.cold_users is None and not cell.fix]
        return list(dict.fromkeys(c for c in warm if c.pair == pair and c.train == train))

    def _kept(self, found: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in found if self._keeps(cell)]

    def _keeps(self, cell: Cell) -> bool:
        return not self.models or cell.model in (*self.models, *BASELINES)
