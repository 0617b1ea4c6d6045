"""Which sections a page has, and the cells of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from darec.data.split import TrainPercent
from darec.errors import UserError
from darec.models import MODELS
from darec.report import cells
from darec.report.cells import BASELINES, Budget, Cell


@dataclass(frozen=True)
class Request:
    """What was asked for. Raises `UserError` for an unknown model."""

    what: str
    """``table2``, ``fig2``, ``fig3`` or ``all``."""
    pairs: tuple[str, ...]
    models: tuple[str, ...]
    """Only these beside the trivial baselines; () means all."""
    train: tuple[TrainPercent, ...]
    synthetic: bool
    budget: Budget

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in MODELS:
                known = ", ".join(MODELS)
                raise UserError(f"--models must be of {known}, but got {name!r}")
        if not self.pairs or not self.train:
            raise UserError("--pairs and --train must name something, but got nothing")
        if unseen := set(self.models) - {cell.model for cell in self.cells()}:
            its = sorted({cell.model for cell in replace(self, models=()).cells()})
            told = f"{self.what} shows none of {', '.join(sorted(unseen))}"
            raise UserError(f"--models: {told}; it has {', '.join(its)}")

    def label(self, pair: str) -> str:
        """Return a pair's name in results."""
        return Cell(pair, 90, "", self.synthetic).label

    def has(self, section: str) -> bool:
        """Whether the page shows a section; the ones that are not the paper's come with all."""
        return self.what in (section, "all")

    def cells(self) -> list[Cell]:
        """Return all cells of all sections; one that is in two sections comes twice."""
        both = [(pair, train) for pair in self.pairs for train in self.train]
        found: list[Cell] = []
        if self.has("table2"):
            found += [cell for column in both for cell in self.table2(*column)]
        if self.has("fig3"):
            found += [cell for column in both for cell in self.figure3(*column)]
        for pair in self.pairs:
            if self.has("fig2"):
                found += self.figure2(pair).values()
            if self.what == "all":
                found += self.cold_users(pair)
                whole = ("bias", *cells.DAREC)  # of the sections beyond the paper
                found += self._kept([Cell(pair, 90, name, self.synthetic) for name in whole])
                found += self.parts(pair).values()  # after the searches whose stage 1 they share
        return found

    def table2(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return the cells of a column of Table 2."""
        return self._kept(cells.table2(pair, train, self.synthetic))

    def figure3(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return the cells of a panel of Fig. 3."""
        return self._kept(cells.figure3(pair, train, self.synthetic))

    def figure2(self, pair: str) -> dict[tuple[str, int], Cell]:
        """Return the cells of a panel of Fig. 2, by model and embedding size."""
        found = cells.figure2(pair, self.synthetic)
        return {key: cell for key, cell in found.items() if self._keeps(cell)}

    def parts(self, pair: str) -> dict[tuple[str, str], Cell]:
        """Return the cells of DARec without each of its parts, by model and part."""
        found = cells.parts(pair, self.synthetic)
        return {key: cell for key, cell in found.items() if self._keeps(cell)}

    def cold_users(self, pair: str) -> list[Cell]:
        """Return the cells that are scored on cold users."""
        return self._kept(cells.cold_users(pair, self.synthetic))

    def whole(self, pair: str, train: TrainPercent) -> list[Cell]:
        """Return a column's cells of all sections, of models in which nothing is held fixed."""
        cells_ = [c for c in self.cells() if c.pair == pair and c.train == train and not c.fix]
        return list(dict.fromkeys(cells_))

    def _kept(self, found: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in found if self._keeps(cell)]

    def _keeps(self, cell: Cell) -> bool:
        return not self.models or cell.model in (*self.models, *BASELINES)
