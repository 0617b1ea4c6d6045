"""The searches and scores that a folder of results already holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from darec.core.cold import COLD, ColdPolicy
from darec.errors import UserError
from darec.evaluation import kept
from darec.evaluation.kept import Key, Keyed
from darec.evaluation.origin import Origin, compared, this_origin
from darec.evaluation.scores import Score, run_key
from darec.models import kind_of
from darec.models.best import Best
from darec.report.matrix.cells import Budget, Cell, fix_text
from darec.tuning.study.algorithms import default_sampler
from darec.tuning.study.identity import load_best
from darec.tuning.study.record import load_study

S = TypeVar("S", bound=Keyed)

Step = Literal["search", "evaluate"]
"""What is done for a cell, in this order."""
Todo = Sequence[tuple[Cell, Sequence[Step]]]
"""The cells that are not finished, each with its missing steps."""
SearchSpaces = Callable[[Cell], Mapping[str, Any]]
"""Returns a cell's spaces as ``study.json`` records them, under ``space`` and ``stage1``."""

WAYS = "choose another --out, or delete that folder"


def find_winner(
    cell: Cell,
    out: Path,
    budget: Budget | None,
    digest: str = "",
    spaces: SearchSpaces | None = None,
) -> Best | None:
    """Return a cell's winner, or None if the cell was not searched or not to the end.

    Without ``budget``, the search may have had any, and any sampler and scheduler. Raises
    `UserError` if the folder holds a search with other options, with another space than ``spaces``
    gives, or of other ratings than ``digest`` names.
    """
    folder = cell.folder(out)
    if not (folder / "study.json").is_file():
        return None
    study = asdict(load_study(folder))
    used, wanted = _used(study), _wanted(cell, budget, study)
    for name, value in wanted.items():
        if used[name] != value:
            message = f"the search in {folder} used --{name.replace('_', '-')} {_shown(used[name])}"
            raise UserError(f"{message}; you asked for {_shown(value)}; {WAYS}")
    for stage, space in (spaces(cell) if spaces else {}).items():
        first = kind_of(cell.model).stage1
        prefix = f"{first.field}/" if first is not None and stage == "stage1" else ""
        if study[stage]["drawn"] != _narrowed(space, study["narrowed"], prefix):
            what = "stage-1 space" if stage == "stage1" else "space"
            message = f"the search in {folder} used another {what} than search_spaces/ has now"
            raise UserError(f"{message}; {WAYS}")
    if not (folder / "best.json").is_file():
        return None
    best = load_best(folder)
    if digest and best.data_digest != digest:
        message = f"the search in {folder} used other ratings than {cell.label} has now"
        raise UserError(f"{message}; {WAYS}")
    return best


def _narrowed(space: Mapping[str, Any], ends: Mapping[str, float], prefix: str) -> dict[str, Any]:
    """Return distributions, as JSON values, with the earlier ends that a search gave to them.

    The names of the ends begin with ``prefix``.
    """
    found = dict(space)
    for name, drawn in space.items():
        if (end := ends.get(prefix + name)) is not None:
            found[name] = {**drawn, "attributes": {**drawn["attributes"], "high": end}}
    return found


def _used(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a search was started with."""
    names = (
        "model",
        "pair",
        "train",
        "cold_users",
        "split",
        "seed",
        "sampler",
        "scheduler",
        "stages",
        "fix",
        "paper",
        "rejudge",
        "stop_when_flat",
        "metric",
    )
    return {**study["budget"], **{name: study[name] for name in names}}


def _wanted(cell: Cell, budget: Budget | None, study: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a cell's search must have been started with."""
    kind = kind_of(cell.model)
    wanted: dict[str, Any] = {"model": cell.model, "pair": cell.label, "train": cell.train}
    wanted |= {"cold_users": cell.cold_users, "split": "random", "seed": 0, "stages": "paper"}
    wanted |= {"fix": dict(cell.fix), "paper": cell.paper, "metric": "rmse"}
    if budget is None:
        return wanted
    wanted["sampler"] = default_sampler(max(budget.trials, budget.stage1_trials))
    wanted |= {"scheduler": "asha", "time_budget": None, "rejudge": 0, "stop_when_flat": False}
    wanted["max_epochs"] = 1 if kind.whole_fit else budget.max_epochs
    if study["space"]["drawn"]:
        wanted["trials"] = budget.trials
    if kind.stage1:
        wanted["stage1_trials"] = budget.stage1_trials
    return wanted


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(map(fix_text, value.items())) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


class Results:
    """The winners and scores under ``out``; each file of scores is read once.

    If a run has several scores, those count that the present code would compute, then the last.
    ``digests`` are the digests of the pairs' ratings, by label. With ``spaces``, a search of
    another space than the cell's present one is refused. One of another budget is refused unless
    there may be ``any_budget``.
    """

    def __init__(
        self,
        out: Path,
        budget: Budget,
        digests: Mapping[str, str],
        spaces: SearchSpaces | None = None,
        any_budget: bool = False,
    ) -> None:
        self.out, self.budget, self.digests, self._spaces = out, budget, dict(digests), spaces
        self.any_budget = any_budget
        self._scores: dict[Path, dict[Key, list[Score]]] = {}
        self.refused: dict[Cell, str] = {}
        """Why a search in a cell's folder is not the cell's own: see `find_winner`."""

    def winner(self, cell: Cell) -> Best | None:
        """Return a cell's winner; None if there is none, or if its search is refused."""
        digest = self.digests.get(cell.label, "")
        budget = None if self.any_budget else self.budget
        try:
            return find_winner(cell, self.out, budget, digest, self._spaces)
        except UserError as error:
            self.refused[cell] = str(error)
            return None

    def scores(self, cell: Cell, policy: ColdPolicy = COLD) -> list[Score]:
        """Return a cell's scores under a cold policy, by seed; empty unless all seeds have one."""
        best, folder = self.winner(cell), cell.out(self.out)
        if best is None:
            return []
        if folder not in self._scores:
            self._scores[folder] = kept.by_key(kept.read(folder / "scores.jsonl", Score))
        keys = [run_key(best, seed, seed, refit=False) for seed in _seeds(best, self.budget)]
        runs = [[(*key, each) for each in get_args(ColdPolicy)] for key in keys]
        return [s for s in _complete(self._scores[folder], runs, _here(cell)) if s.cold == policy]

    def shown(self, cell: Cell) -> list[Score]:
        """Return every score of a cell that a report shows."""
        return [score for policy in get_args(ColdPolicy) for score in self.scores(cell, policy)]

    def others(self, cells: Sequence[Cell]) -> list[str]:
        """Say how many scores are kept that come from other code, libraries or devices."""
        found = [(score, _here(cell)) for cell in cells for score in self.shown(cell)]
        return [
            f"{n} of {len(found)} scores come from {differs} ({origin})"
            for (origin, differs), n in compared(found).items()
            if differs
        ]

    def missing(self, cell: Cell) -> list[Step]:
        """Return the steps of a cell that are not done, in order."""
        searched = self.winner(cell) is not None
        done: dict[Step, bool] = {
            "search": searched,
            "evaluate": bool(self.scores(cell)),
        }
        return [step for step, is_done in done.items() if not is_done]


def _complete(
    known: Mapping[Key, Sequence[S]], runs: Sequence[Sequence[Key]], here: Origin
) -> list[S]:
    """Return the scores of all runs; none unless every run has them."""
    found = [kept.of_run(known, keys, here) for keys in runs]
    return [score for own in found for score in own] if all(found) else []


def _here(cell: Cell) -> Origin:
    return this_origin(kind_of(cell.model), "cpu")


def _seeds(best: Best, budget: Budget) -> range:
    return range(best.seed, best.seed + budget.seeds)
