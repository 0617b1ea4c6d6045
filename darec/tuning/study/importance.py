"""Which hyper-parameters matter, and where in their ranges the good trials lie."""

import csv
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator

from darec.errors import UserError
from darec.models.best import distribution_of, read_best
from darec.tuning.study.places import place_of
from darec.tuning.study.record import load_study

LEAST_TRIALS = 8
"""With fewer trials no importances are given; with fewer than 50 they are rough."""
EPOCH = IntDistribution(0, 10**9)
"""The range of a trial's best epoch, which is 0 if it diverged."""
VERY_LARGE = 1e300
GOOD = 0.25
"""Share of the trials that counts as good."""


@dataclass(frozen=True)
class DrawnTrials:
    """The trials of a study that had a finite error, the best first."""

    distributions: dict[str, BaseDistribution]
    """What the trials drew from; hyper-parameters that never varied are left out."""
    trials: list[dict[str, Any]]
    errors: list[float]
    """Validation RMSE of each trial's best epoch."""
    at_edge: list[str]
    """The winner's hyper-parameters that lie within a hundredth of an end of their range."""


def read_study(folder: Path) -> DrawnTrials:
    """Read ``study.json`` and ``trials.csv`` of a study, which may be running.

    Raises `UserError` naming the file, and the line and the column of a value that cannot be.
    """
    top = folder.parent if folder.name.startswith("stage1_") else folder
    study = load_study(top)
    space = study.space if top == folder or study.stage1 is None else study.stage1
    distributions = {name: distribution_of(value) for name, value in space.drawn.items()}
    path = folder / "trials.csv"
    try:
        rows = list(_rows(path, distributions, _widest_error(folder)))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not CSV: {error}") from error
    if not rows:
        raise UserError(f"{path}: must have a trial that did not diverge, but has none")
    varied = {n: d for n, d in distributions.items() if len({row.drawn[n] for row in rows}) > 1}
    trials = [{name: row.drawn[name] for name in varied} for row in rows]
    return DrawnTrials(varied, trials, [row.error for row in rows], rows[0].at_edge)


def _widest_error(folder: Path) -> float:
    """Return the largest error that a finished search can have; very large for an unfinished one,
    which does not say its scale."""
    return read_best(folder).scale.range if (folder / "best.json").is_file() else VERY_LARGE


@dataclass(frozen=True)
class _Row:
    """A trial that did not diverge."""

    error: float
    at_edge: list[str]
    drawn: dict[str, Any]


def _rows(
    path: Path, distributions: Mapping[str, BaseDistribution], widest: float
) -> Iterator[_Row]:
    error_range = FloatDistribution(0.0, widest)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, restval="", strict=True)
        names = ("best_epoch", "best_valid_rmse", "at_edge", *distributions)
        if missing := [name for name in names if name not in (reader.fieldnames or ())]:
            raise UserError(f"{path}: must have a column {missing[0]!r}, but has none")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if _value(place, row, "best_epoch", EPOCH) == 0:
                continue  # it diverged
            error = _value(place, row, "best_valid_rmse", error_range)
            drawn = {name: _value(place, row, name, each) for name, each in distributions.items()}
            yield _Row(error, row["at_edge"].split(), drawn)


def importances(study: DrawnTrials) -> dict[str, float]:
    """Return each hyper-parameter's share of importance by PED-ANOVA, the greatest first.

    Equal shares are in the order of names. It is empty for fewer than `LEAST_TRIALS` trials.
    """
    if len(study.trials) < LEAST_TRIALS or not study.distributions:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    copy = optuna.create_study()
    for params, error in zip(study.trials, study.errors, strict=True):
        trial = optuna.trial.create_trial(
            params=params, distributions=study.distributions, value=error
        )
        copy.add_trial(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=GOOD, region_quantile=1.0)
    shares = optuna.importance.get_param_importances(copy, evaluator=evaluator)
    return dict(sorted(shares.items(), key=lambda item: (-round(item[1], 9), item[0])))


def places(study: DrawnTrials) -> dict[str, list[float]]:
    """Return where the good trials lie in each numeric range, from 0 to 1, the best trial first.

    Places are on a logarithmic scale if the search drew on one.
    """
    n_good = max(1, math.ceil(GOOD * len(study.trials)))
    return {
        name: [place_of(distribution, trial[name]) for trial in study.trials[:n_good]]
        for name, distribution in study.distributions.items()
        if not isinstance(distribution, CategoricalDistribution)
    }


def _value(place: str, row: Mapping[str, str], name: str, distribution: BaseDistribution) -> Any:
    """Return a value of a distribution; raises `UserError` if the text of a row is none."""
    text = row[name]
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            if _same(choice, text):
                return choice
        rule = f"must be one of {', '.join(map(str, distribution.choices))}"
        raise UserError(f"{place}: {name} {rule}, but got {text!r}")
    low, high = (getattr(distribution, part) for part in ("low", "high"))
    value, whole = _number(text), isinstance(distribution, IntDistribution)
    if not low <= value <= high or (whole and not value.is_integer()):
        rule = f"must be a {'whole ' if whole else ''}number from {low:g} to {high:g}"
        raise UserError(f"{place}: {name} {rule}, but got {text!r}")
    return int(value) if whole else value


def _same(choice: Any, text: str) -> bool:
    return str(choice) == text or (isinstance(choice, float) and _number(text) == choice)


def _number(text: str) -> float:
    """Return a number; NaN, which equals nothing and lies in no range, if the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
