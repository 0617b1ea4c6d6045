"""What each table and figure needs: searches of a model on a pair, scored over seeds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from darec.data.shuffled import SUFFIX
from darec.data.split import TrainPercent
from darec.errors import UserError
from darec.evaluation import scores as files
from darec.evaluation.cold_users import ANSWERING, ColdUserScore, cold_key
from darec.evaluation.scores import Score, run_key
from darec.models import MODELS
from darec.models.best import Best, load_best, load_study, study_folder
from darec.paper import FIGURE_2_SIZES

T = TypeVar("T")

BASELINES = ("mean", "bias")
TABLE_2 = ("cmf_unbiased", "cmf", "cdtf", "fm_cdcf", "conet", "u_darec", "i_darec")
FIGURE_3 = ("pmf", "u_rbm", "u_autorec", "u_darec", "i_autorec", "i_cf_nade", "i_darec", "bias")
DAREC = ("u_darec", "i_darec")
FIGURE_2_EXTRACTOR = 100
PARTS: dict[str, dict[str, str]] = {
    "u_darec": {
        "no classifier (mu = 0)": "mu=0",
        "no reversal: the classifier's error is minimised, as in Eq. 7": "reversal=false",
        "target error left out (beta = 0)": "beta=0",
        "both errors weigh alike (beta = 1)": "beta=1",
        "rows reconstruct both domains, as printed (heads = both)": "heads=both",
        "rows reconstruct their own domain (heads = own)": "heads=own",
        "no centring, as printed (center = none)": "center=none",
    },
    "i_darec": {
        "no classifier (mu = 0)": "mu=0",
        "a reversal, as in Eq. 4-6": "reversal=true",
        "both errors weigh alike (beta = 1)": "beta=1",
        "a predictor per domain, as printed (predictors = own)": "predictors=own",
        "one predictor for both (predictors = shared)": "predictors=shared",
        "no centring, as printed (center = none)": "center=none",
    },
}
"""What is held fixed instead of searched, by what the page calls it."""
SHUFFLED = "source's users exchanged"


@dataclass(frozen=True)
class Budget:
    """What every search may spend, the same for all models, and how many seeds score it."""

    trials: int
    """Of each search; library fits count as one epoch."""
    stage1_trials: int
    """Of each of a two-stage model's two stage-1 studies."""
    max_epochs: int
    """Of each trial."""
    seeds: int
    """Splits and runs that score a winner."""


@dataclass(frozen=True)
class Cell:
    """A search and its scores."""

    pair: str
    """As ``--pair`` takes it."""
    train: TrainPercent
    model: str
    synthetic: bool = False
    fix: tuple[str, ...] = ()
    """Hyper-parameters that are held fixed, KEY=VALUE."""
    cold_users: bool = field(default=False, compare=False)
    """Whether it is scored on cold users, too."""

    @property
    def label(self) -> str:
        """The pair's name in results."""
        return f"{self.pair}-synthetic" if self.synthetic else self.pair

    @property
    def name(self) -> str:
        """A name that no other cell has, for logs and progress."""
        return "-".join((self.label, str(self.train), self.model, *self.fix))

    @property
    def base(self) -> "Cell | None":
        """The search whose stage 1 is this one's, too: only stage 2 has fixed hyper-parameters."""
        kind, names = MODELS[self.model], {fixed.partition("=")[0] for fixed in self.fix}
        if not self.fix or kind.stage1 is None or names & {"hidden", "center"}:
            return None
        return replace(self, fix=())

    def out(self, out: Path) -> Path:
        """Return the folder of its results: one more for each set of fixed hyper-parameters."""
        return out / "variants" / "-".join(self.fix) if self.fix else out

    def folder(self, out: Path) -> Path:
        """Return its study's folder."""
        return study_folder(self.out(out), self.label, self.train, self.model)


def table2(pair: str, train: TrainPercent, synthetic: bool) -> list[Cell]:
    """Return the cells of a column of Table 2, and both trivial baselines'."""
    names = (*TABLE_2, *BASELINES)
    return [Cell(pair, train, name, synthetic) for name in names]


def figure3(pair: str, train: TrainPercent, synthetic: bool) -> list[Cell]:
    """Return the cells of a panel of Fig. 3: models of the target alone, beside DARec."""
    return [Cell(pair, train, name, synthetic) for name in FIGURE_3]


def figure2(pair: str, synthetic: bool) -> dict[tuple[str, int], Cell]:
    """Return the cells of a panel of Fig. 2 by model and embedding size; extractor 100."""
    extractor = f"extractor={FIGURE_2_EXTRACTOR}"
    return {
        (model, size): Cell(pair, 90, model, synthetic, (f"hidden={size}", extractor))
        for model in DAREC
        for size in FIGURE_2_SIZES
    }


def parts(pair: str, synthetic: bool) -> dict[tuple[str, str], Cell]:
    """Return DARec with each part taken out, by model and what the page calls it."""
    cells = {
        (model, called): Cell(pair, 90, model, synthetic, (fixed,))
        for model, variants in PARTS.items()
        for called, fixed in variants.items()
    }
    label = Cell(pair, 90, "", synthetic).label
    controls = {(model, SHUFFLED): Cell(label + SUFFIX, 90, model) for model in DAREC}
    return cells | controls


def cold_users(pair: str, synthetic: bool) -> list[Cell]:
    """Return the models that can answer for users without target ratings."""
    return [Cell(pair, 90, name, synthetic, cold_users=True) for name in ANSWERING]


Drawn = Callable[[Cell], Mapping[str, Any]]
"""Gives a cell's search spaces as ``study.json`` has them, by stage: ``space``, ``stage1``."""


def distinct(cells: Iterable[Cell]) -> list[Cell]:
    """Return each search once; scored on cold users where any of its cells is."""
    by_name: dict[str, Cell] = {}
    for cell in cells:
        if cell.name not in by_name or cell.cold_users:
            by_name[cell.name] = cell
    return list(by_name.values())


def winner(
    cell: Cell, out: Path, budget: Budget, digest: str = "", drawn: Drawn | None = None
) -> Best | None:
    """Return a cell's winner, or None unless it was searched to the end.

    Raises `UserError` for a search of other data than ``digest``, of another budget, of another
    space than ``drawn`` has, or that a user made by hand with other options.
    """
    folder = cell.folder(out)
    if not (folder / "study.json").is_file():
        return None
    study = load_study(folder)
    found = {**study["budget"], **{name: study[name] for name in ("seed", "sampler", "scheduler")}}
    found["fixed"] = sorted(_after(study["argv"], "--fix"))
    kind = MODELS[cell.model]
    found["stages"] = "joint" if kind.stage1 and study["stage1"] is None else "paper"
    wanted: dict[str, object] = {"seed": 0, "sampler": "tpe", "scheduler": "asha"}
    wanted |= {"fixed": sorted(cell.fix), "stages": "paper", "time_budget": None}
    wanted["max_epochs"] = 1 if kind.whole_fit else budget.max_epochs
    if study["space"]["drawn"]:
        wanted["trials"] = budget.trials
    if kind.stage1:
        wanted["stage1_trials"] = budget.stage1_trials
    for name, value in wanted.items():
        if found[name] != value:
            told = f"a search there has {name} {found[name]}, and {value} is asked for"
            raise UserError(f"{folder}: {told}; give another --out, or delete it")
    for stage, wanted_space in (drawn(cell) if drawn else {}).items():
        if study[stage]["drawn"] != wanted_space:
            told = f"it searched another {stage} than search_spaces/ has now"
            raise UserError(f"{folder}: {told}; give another --out, or delete it")
    if not (folder / "best.json").is_file():
        return None
    best = load_best(folder)
    if digest and best.data_digest != digest:
        raise UserError(f"{folder}: its ratings are not those of {cell.label} now; delete it")
    return best


def _after(words: Sequence[str], option: str) -> list[str]:
    joined = [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    return joined + [word for before, word in pairwise(words) if before == option]


class Results:
    """The scores under a folder, read once; ``digests`` are those of the pairs, by label.

    ``drawn`` says what a cell's studies search now, if that is to be compared.
    """

    def __init__(
        self, out: Path, budget: Budget, digests: Mapping[str, str], drawn: Drawn | None = None
    ) -> None:
        self.out, self.budget, self.digests, self._drawn = out, budget, dict(digests), drawn
        self._scores: dict[Path, list[Score]] = {}
        self._cold: dict[Path, list[ColdUserScore]] = {}
        self.refused: dict[Cell, str] = {}
        """Why a search that is there is none of a cell's: another budget, other data, damaged."""

    def winner(self, cell: Cell) -> Best | None:
        """Return a cell's winner, of a search with this budget on this data; see `winner`."""
        try:
            digest = self.digests.get(cell.label, "")
            return winner(cell, self.out, self.budget, digest, self._drawn)
        except UserError as error:
            self.refused[cell] = str(error)
            return None

    def scores(self, cell: Cell, policy: str = "fallback") -> list[Score]:
        """Return a cell's scores under a cold policy, in the order of seeds; [] unless complete."""
        best, folder = self.winner(cell), cell.out(self.out)
        if best is None:
            return []
        if folder not in self._scores:
            self._scores[folder] = files.read(folder / "scores.jsonl", Score)
        keys = [(*_key(best, seed), policy) for seed in _seeds(best, self.budget)]
        return _complete({score.key: score for score in self._scores[folder]}, keys)

    def cold(self, cell: Cell) -> list[ColdUserScore]:
        """Return a cell's scores on cold users, in the order of seeds; [] unless complete."""
        best, folder = self.winner(cell), cell.out(self.out)
        if best is None:
            return []
        if folder not in self._cold:
            self._cold[folder] = files.read(folder / "cold_users.jsonl", ColdUserScore)
        keys = [cold_key(best, seed) for seed in _seeds(best, self.budget)]
        return _complete({score.key: score for score in self._cold[folder]}, keys)

    def missing(self, cell: Cell) -> Sequence[str]:
        """Return the steps of a cell that are not done: search, evaluate, cold_users."""
        if self.winner(cell) is None:
            return ("search", "evaluate", "cold_users")[: 3 if cell.cold_users else 2]
        steps = [] if self.scores(cell) and self.scores(cell, "floor") else ["evaluate"]
        return [*steps, "cold_users"] if cell.cold_users and not self.cold(cell) else steps


def _complete(found: Mapping[tuple[Any, ...], T], keys: Sequence[tuple[Any, ...]]) -> list[T]:
    return [found[key] for key in keys] if all(key in found for key in keys) else []


def _seeds(best: Best, budget: Budget) -> range:
    return range(best.seed, best.seed + budget.seeds)


def _key(best: Best, seed: int) -> tuple[object, ...]:
    seeds = {"split_seed": seed, "run_seed": seed, "refit": False}
    return run_key(best.data_digest, best.model, best.config, {**asdict(best), **seeds})
