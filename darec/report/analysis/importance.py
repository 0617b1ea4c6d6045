"""Which hyper-parameters matter, and where in their ranges the good trials lie."""

import csv
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator

from darec.models.best import distribution_of
from darec.tuning.study.record import load_study

LEAST_TRIALS = 8
"""With fewer trials no importances are given; with fewer than 50 they are rough."""
GOOD = 0.25
"""Share of the trials that counts as good."""


@dataclass(frozen=True)
class FinishedStudy:
    """The trials of a finished study, the best first."""

    distributions: dict[str, BaseDistribution]
    """What the trials drew from; hyper-parameters that never varied are left out."""
    trials: list[dict[str, Any]]
    errors: list[float]
    """Best validation RMSE of each trial."""
    at_edge: list[str]
    """The winner's hyper-parameters that lie within a hundredth of an end of their range."""


def read_study(folder: Path) -> FinishedStudy:
    """Read ``study.json`` and ``trials.csv`` of a finished study."""
    top = folder.parent if folder.name.startswith("stage1_") else folder
    study = load_study(top)
    space = study.space if top == folder or study.stage1 is None else study.stage1
    distributions = {name: distribution_of(value) for name, value in space.drawn.items()}
    with (folder / "trials.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["best_epoch"] or 0) > 0]
    distributions = {n: d for n, d in distributions.items() if len({row[n] for row in rows}) > 1}
    trials = [{n: _value(d, row[n]) for n, d in distributions.items()} for row in rows]
    errors = [float(row["best_valid_rmse"]) for row in rows]
    return FinishedStudy(distributions, trials, errors, rows[0]["at_edge"].split() if rows else [])


def importances(study: FinishedStudy) -> dict[str, float]:
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


def places(study: FinishedStudy) -> dict[str, list[float]]:
    """Return where the good trials lie in each numeric range, from 0 to 1, the best trial first.

    Places are on a logarithmic scale if the search drew on one.
    """
    n_good = max(1, math.ceil(GOOD * len(study.trials)))
    found = {}
    for name, distribution in study.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            continue
        low, high, log = (getattr(distribution, part) for part in ("low", "high", "log"))
        scale = math.log if log else float
        span = scale(high) - scale(low)
        found[name] = [(scale(t[name]) - scale(low)) / span for t in study.trials[:n_good]]
    return found


def _value(distribution: BaseDistribution, text: str) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return next(choice for choice in distribution.choices if _same(choice, text))
    return int(float(text)) if isinstance(distribution, IntDistribution) else float(text)


def _same(choice: Any, text: str) -> bool:
    return str(choice) == text or (isinstance(choice, float) and float(text) == choice)
