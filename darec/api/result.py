"""The result that a search leaves on disk: its winner, its trials, and how to continue it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from darec.api.checks import check_count
from darec.data.holdout import Holdout
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.models.best import Best
from darec.serving.card import Refit
from darec.tuning import storage
from darec.tuning.study.identity import load_best
from darec.tuning.study.record import Record, load_study
from darec.tuning.study.trials_table import read_trials
from darec.tuning.trial.names import METRIC


@dataclass(frozen=True)
class SearchResult:
    """A search on disk: its winner, its trials, and where its files are."""

    path: str
    """The study's folder or URI: ``<out>/<pair>-<train>/<model>``, with another label for another
    task or split (`Holdout.label`)."""
    root: Path
    """The local folder of all results: ``<out>``, or for a URI a scratch folder like it."""
    interrupted: bool = field(default=False, compare=False)
    """Whether this run was interrupted. An earlier winner may be there all the same."""
    _continue: "Callable[..., SearchResult] | None" = field(default=None, repr=False, compare=False)
    """Continues the search with its first arguments; None for a result that was read from disk."""
    _pair: DomainPair | None = field(default=None, repr=False, compare=False)
    """What was searched on; None for a result that was read from disk."""

    @property
    def out(self) -> str:
        """The folder or URI of all results."""
        return self.path.rstrip("/").rsplit("/", 2)[0]

    @property
    def folder(self) -> Path:
        """The local folder with the study's result files."""
        return self.root.joinpath(*self.path.rstrip("/").rsplit("/", 2)[1:])

    def recorded(self) -> Record | None:
        """Return what was asked of the search; None if it was never begun."""
        path = self.folder / "study.json"
        if storage.is_uri(self.path):
            storage.fetch_file(storage.join(self.path, path.name), path)
        return load_study(self.folder, self.path) if path.exists() else None

    @property
    def begun(self) -> bool:
        """Whether the folder here says what was asked of the search."""
        return (self.folder / "study.json").exists()

    @property
    def finished(self) -> bool:
        """Whether the search is finished; if not, `resume` continues it."""
        return not self.interrupted and (self.folder / "best.json").exists()

    @property
    def best(self) -> Best:
        """The winner: the configuration and epoch that are best by the search's metric.

        Raises `UserError` when the search is not finished, or the files do not fit each other.
        """
        if not self.finished:
            raise UserError(f"{self.path}: the search is not finished; continue it with resume()")
        return load_best(self.folder, self.path)

    @property
    def error(self) -> float:
        """The winner's validation error by the search's metric, of which lower is better.

        Raises `UserError` where `trials` does.
        """
        best = self.best
        return best.valid_rmse if best.metric == "rmse" else float(self.trials[METRIC].iloc[0])

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, best first.

        Raises `UserError` when the search is not finished, or ``trials.csv`` is damaged.
        """
        return read_trials(self.folder, self.best, self.path)

    def fit(self, pair: DomainPair | None = None, *, refit: Refit = "all") -> str:
        """Write the winner as a model folder (`darec.fit`), and return its path or URI.

        ``pair`` can be left out in the process that did the search. Raises `UserError` when the
        pair is needed, and where `darec.fit` does.
        """
        from darec.api.fit import fit

        pair = pair or self._pair
        if pair is None:
            raise UserError(f"{self.path}: give the pair: fit(darec.load_pair(...))")
        return fit(self, pair, refit=refit)

    def extend(self, trials: int) -> "SearchResult":
        """Add this many trials to the search and continue it; the best of all trials wins.

        Raises `UserError` for a result that was read from disk: call `search` with ``resume=True``,
        the same arguments and more ``trials`` instead.
        """
        check_count("trials", trials)
        if self._continue is None:
            how = "call darec.search(..., resume=True, trials=...)"
            raise UserError(f"{self.path}: {how} for more trials")
        before = self.recorded()
        return self._continue(trials=trials + (before.budget.trials if before else 0))

    def resume(self) -> "SearchResult":
        """Continue an unfinished search with the arguments it was begun with.

        A finished search is returned as it is. Raises `UserError` for a result that was read from
        disk: call `search` with ``resume=True`` and the same arguments instead.
        """
        if self.finished:
            return self
        if self._continue is None:
            raise UserError(f"{self.path}: call darec.search(..., resume=True) to continue it")
        return self._continue()


def result_at(
    out: str,
    root: Path,
    pair: str,
    holdout: Holdout,
    model: str,
    continue_: "Callable[..., SearchResult] | None" = None,
    searched: DomainPair | None = None,
) -> SearchResult:
    """Return the result of a model's search under ``out``; ``root`` is `SearchResult.root`."""
    place = out if storage.is_uri(out) else str(root)
    path = storage.join(place, holdout.label(pair), model)
    return SearchResult(path, root, _continue=continue_, _pair=searched)


def load_result(path: str | Path) -> SearchResult:
    """Return a search that was done earlier.

    Args:
        path: The study's folder or URI, ``<out>/<pair>-<train>/<model>``.

    Returns:
        The result. Its ``finished`` says whether the search is finished.

    Raises:
        UserError: There is no search at this path.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> done = darec.search("mean", pair, out="results", resume=True)
        >>> darec.load_result("results/toys_auto-synthetic-90/mean").best == done.best
        True
    """
    place = str(path).rstrip("/") if storage.is_uri(str(path)) else str(Path(path).resolve())
    result = SearchResult(place, storage.working_folder(place.rsplit("/", 2)[0]))
    if storage.is_uri(place):
        storage.fetch(place, result.folder)
    if not result.begun:
        raise UserError(f"{path}: no search here; run one first (darec tune)")
    return result


def finished_searches(
    models: Iterable[str],
    pair: DomainPair,
    holdout: Holdout,
    out: str,
    required: bool,
) -> list[SearchResult]:
    """Return the finished searches of a pair under ``out``, one for each model that has one.

    Raises `UserError` when none of the models, or a required one, has a finished search.
    """
    root = storage.working_folder(out)
    if storage.is_uri(out):
        storage.fetch(out, root)
    found = []
    for model in models:
        result = result_at(out, root, pair.name, holdout, model)
        if required or result.finished:
            best = load_best(result.folder, result.path)
            here = f"{holdout.label(pair.name)}/{model}"
            there = f"{best.holdout.label(best.pair)}/{best.model}"
            if here != there:
                message = f"must be the winner of {here}, but is that of {there}"
                raise UserError(f"{result.path}/best.json: {message}")
            found.append(result)
    if not found:
        label = holdout.label(pair.name)
        raise UserError(f"{out}: no finished search of {label}; run one first (darec tune)")
    return found


Results = SearchResult | str | Path | Sequence[SearchResult | str | Path]
"""One or more finished searches, each as a `SearchResult` or as the study's folder or URI."""


def searches_of(result: Results, pair: DomainPair) -> list[SearchResult]:
    """Return finished searches of a pair as results.

    Raises `UserError` if there is none, one used other ratings, or they are of different tasks.
    """
    several = [result] if isinstance(result, SearchResult | str | Path) else list(result)
    found = [each if isinstance(each, SearchResult) else load_result(each) for each in several]
    if not found:
        raise UserError("no search was given")
    for each in found:
        if each.best.data_digest != pair.digest:
            message = "its ratings are not those the search saw; search it again"
            raise UserError(f"{pair.name}: {message}")
    tasks = dict.fromkeys(each.best.holdout.in_words for each in found)
    if len(tasks) > 1:
        raise UserError(f"searches of different tasks do not go together: {'; '.join(tasks)}")
    return found
