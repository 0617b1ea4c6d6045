"""Which searches each table and figure needs: one cell is one search and its scores."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from darec.data.holdout import ColdPercent, Holdout, TrainPercent
from darec.data.shuffled import SUFFIX
from darec.models import MODELS, kind_of
from darec.models.best import study_folder
from darec.paper import FIGURE_2_SIZES
from search_spaces import SPACES

Value = bool | int | float | str
"""A hyper-parameter's value."""
Fix = tuple[tuple[str, Value], ...]
"""Hyper-parameters that a search holds fixed, with their values, in order."""

BIASES = ("bias", "hierarchical_bias")
"""The baselines that every other model is compared with."""
BASELINES = ("mean", *BIASES)
UNTUNED = ("mean", "hierarchical_bias")
"""Models without hyper-parameters: their search is one trial."""
TABLE_2 = ("cmf_unbiased", "cmf", "cdtf", "fm_cdcf", "conet", "u_darec", "i_darec")
FIGURE_3 = ("pmf", "u_rbm", "u_autorec", "u_darec", "i_autorec", "i_cf_nade", "i_darec")
PRINTED = tuple(name for name, space in SPACES.items() if space.paper)
"""Models that can be searched as printed (``--paper``), and with our additions, too."""
DAREC = ("u_darec", "i_darec")
FIGURE_2_EXTRACTOR = 100
ADDED: dict[str, tuple[str, Value]] = {
    "centred by the hierarchical biases (center = hierarchical)": ("center", "hierarchical"),
    "stage 2 predicts what stage 1 left (head = residual)": ("head", "residual"),
}
"""Additions of ours to DARec, one at a time."""
PARTS: dict[str, dict[str, tuple[str, Value]]] = {
    "u_darec": {
        "no classifier (mu = 0)": ("mu", 0),
        "no reversal: the extractor minimises the classifier's error (Eq. 7)": ("reversal", False),
        "no target error (beta = 0)": ("beta", 0),
        "both domains' errors have equal weight (beta = 1)": ("beta", 1),
        "rows reconstruct their own domain (heads = own)": ("heads", "own"),
        **ADDED,
    },
    "i_darec": {
        "no classifier (mu = 0)": ("mu", 0),
        "with the reversal of Eq. 4-6": ("reversal", True),
        "both domains' errors have equal weight (beta = 1)": ("beta", 1),
        "one predictor for both domains (predictors = shared)": ("predictors", "shared"),
        **ADDED,
    },
}
"""The hyper-parameter that takes out or changes a part of DARec as printed, by model and label."""
SHUFFLED = "source users shuffled"


@dataclass(frozen=True)
class Budget:
    """What every search may spend, the same for all models, and how many seeds score a winner."""

    trials: int
    """Trials of each search; a whole fit of a library counts as one epoch of a trial."""
    stage1_trials: int
    """Trials of each of the two stage-1 studies of a two-stage model."""
    max_epochs: int
    """Most epochs of a trial."""
    seeds: int
    """Splits that score a winner, each with a training run of its own."""


@dataclass(frozen=True)
class Cell:
    """One search of a model on a pair, and its scores."""

    pair: str
    """The pair's name, as ``--pair`` takes it."""
    train: TrainPercent
    model: str
    synthetic: bool = False
    fix: Fix = ()
    cold_users: ColdPercent | None = None
    """Percent of the users who are test users of the cold-user task; None: the warm task."""
    paper: bool = False
    """Whether the model is searched as the paper prints it (``--paper``)."""

    @property
    def row(self) -> str:
        """The model's name in tables; ``(ours)`` if it has our additions to what is printed."""
        return f"{self.model} (ours)" if self.model in PRINTED and not self.paper else self.model

    @property
    def label(self) -> str:
        """The pair's name in results."""
        return f"{self.pair}-synthetic" if self.synthetic else self.pair

    @property
    def name(self) -> str:
        """The cell's own name in logs and messages."""
        return "-".join((self.holdout.label(self.label), self.model, *self._variant))

    @property
    def holdout(self) -> Holdout:
        """What is held out."""
        return Holdout(self.train, self.cold_users)

    @property
    def is_plain(self) -> bool:
        """Whether it is what ``darec tune`` searches in the warm task without further options."""
        return self.cold_users is None and not self._variant

    @property
    def _variant(self) -> tuple[str, ...]:
        return (*(("paper",) if self.paper else ()), *map(fix_text, self.fix))

    @property
    def base(self) -> "Cell | None":
        """The search that has the same stage 1, if only hyper-parameters of stage 2 are fixed."""
        names, stage1 = {name for name, _ in self.fix}, kind_of(self.model).stage1
        if not names or stage1 is None or names & set(stage1.shared):
            return None
        return replace(self, fix=())

    def out(self, out: Path) -> Path:
        """Return the cell's folder of results; each variant of a model has one of its own."""
        return out / "variants" / "-".join(self._variant) if self._variant else out

    def folder(self, out: Path) -> Path:
        """Return the folder of the cell's study."""
        return study_folder(self.out(out), self.label, self.holdout, self.model)


def fix_text(fixed: tuple[str, Value]) -> str:
    """Return a fixed hyper-parameter as ``--fix`` takes it, for example ``mu=0``."""
    name, value = fixed
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def printed(pair: str, train: TrainPercent, name: str, synthetic: bool, fix: Fix = ()) -> Cell:
    """Return the cell of a model as printed; one that has no such settings is searched as ever."""
    return Cell(pair, train, name, synthetic, fix, paper=name in PRINTED)


def table2(pair: str, train: TrainPercent, synthetic: bool) -> list[Cell]:
    """Return the cells of one column of Table 2, and of the trivial baselines."""
    return _rows(TABLE_2, BASELINES, pair, train, synthetic)


def figure3(pair: str, train: TrainPercent, synthetic: bool) -> list[Cell]:
    """Return the cells of one panel of Fig. 3: single-domain models, and DARec."""
    return _rows(FIGURE_3, BIASES, pair, train, synthetic)


def _rows(
    names: Sequence[str],
    baselines: Sequence[str],
    pair: str,
    train: TrainPercent,
    synthetic: bool,
) -> list[Cell]:
    """Return models as printed, then those with our additions, then baselines."""
    found = [printed(pair, train, name, synthetic) for name in names]
    added = [replace(cell, paper=False) for cell in found if cell.paper]
    return [*found, *added, *(Cell(pair, train, name, synthetic) for name in baselines)]


def figure2(pair: str, synthetic: bool) -> dict[tuple[str, int], Cell]:
    """Return the cells of one panel of Fig. 2, by model and embedding size."""
    extractor = ("extractor", FIGURE_2_EXTRACTOR)
    return {
        (model, size): printed(pair, 90, model, synthetic, (("hidden", size), extractor))
        for model in DAREC
        for size in FIGURE_2_SIZES
    }


def parts(pair: str, synthetic: bool) -> dict[tuple[str, str], Cell]:
    """Return DARec with each part changed, by model and the change's label."""
    cells = {
        (model, label): printed(pair, 90, model, synthetic, (fixed,))
        for model, changes in PARTS.items()
        for label, fixed in changes.items()
    }
    shuffled = Cell(pair, 90, "", synthetic).label + SUFFIX
    return cells | {(model, SHUFFLED): printed(shuffled, 90, model, False) for model in DAREC}


def cold_users(pair: str, share: ColdPercent, synthetic: bool) -> list[Cell]:
    """Return the cells of the models that take part in the cold-user task."""
    able = [name for name, kind in MODELS.items() if kind.cold_users]
    return [Cell(pair, 90, name, synthetic, cold_users=share) for name in able]


def distinct(cells: Iterable[Cell]) -> list[Cell]:
    """Return each search once, however many sections show it."""
    return list(dict.fromkeys(cells))
