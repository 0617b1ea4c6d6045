"""Checks of the arguments of a search, before data are divided and Ray is started."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from numbers import Integral
from typing import Any, get_args

from darec.api.checks import check_choice, check_count, check_cpus, check_gpus, check_positive
from darec.core.objective import Metric
from darec.errors import UserError
from darec.tuning.cluster.connection import check_address
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.trial.names import Tracker

Check = Callable[[str, Any], None]
"""Raises `UserError` for an option, by its name, with a value that breaks a rule."""


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise `UserError` for the first argument of `darec.search` that breaks a rule.

    Arguments that are not there have their defaults, which break none.
    """
    for name, check in CHECKS.items():
        if name in arguments:
            check(f"--{name.replace('_', '-')}", arguments[name])
    if arguments.get("rejudge") and (rule := against_rejudge(arguments)):
        raise UserError(f"--rejudge {rule}")
    if arguments.get("stop_when_flat") and (rule := _other_metric(arguments)):
        raise UserError(f"--stop-when-flat {rule}")
    if arguments.get("reproducible"):
        _check_reproducible(arguments)


def against_rejudge(arguments: Mapping[str, Any]) -> str:
    """Return why the best configurations of a search cannot be judged again; empty if they can."""
    if arguments.get("split", "random") != "random":
        return "needs --split random: the validation ratings of another split are not like others"
    if arguments.get("trial_limit", math.inf) != math.inf:
        return "cannot go with --trial-limit: it trains configurations again without a time limit"
    return _other_metric(arguments)


def _other_metric(arguments: Mapping[str, Any]) -> str:
    """Return the rule that only the RMSE judges, if a search selects by another metric."""
    metric = arguments.get("metric", "rmse")
    rule = f"needs --metric rmse: it judges by RMSE, but got --metric {metric}"
    return "" if metric == "rmse" else rule


def _check_reproducible(arguments: Mapping[str, Any]) -> None:
    """Raise `UserError` for what would make the outcome of a search depend on timing."""
    limits = ("--time-budget", "time_budget", None), ("--trial-limit", "trial_limit", math.inf)
    for option, name, none in limits:
        if (value := arguments.get(name, none)) not in (None, math.inf):
            raise UserError(f"--reproducible cannot go with {option}, but got {value:g}")
    scheduler = arguments.get("scheduler", "asha")
    if SCHEDULERS[scheduler].in_order is None:
        able = " or ".join(name for name, each in SCHEDULERS.items() if each.in_order)
        raise UserError(f"--reproducible needs --scheduler {able}, but got {scheduler}")
    if arguments.get("gpus_per_trial"):
        message = "a GPU does not repeat a training to the last bit"
        raise UserError(f"--reproducible needs --gpus-per-trial 0: {message}")


def _check_sampler(option: str, value: Any) -> None:
    if value is not None:
        check_choice(option, value, known=SAMPLERS)


def _check_metric(option: str, value: Any) -> None:
    if value == "cold_rmse":
        message = "the cold policy predicts cold ratings, alike for all trials"
        raise UserError(f"{option} cold_rmse: {message}; search with --task cold_users")
    check_choice(option, value, known=get_args(Metric))


def _check_seed(option: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserError(f"{option} must be a whole number, but got {value!r}")


def _check_fix(option: str, value: Any) -> None:
    known = value is None or (isinstance(value, Mapping) and all(isinstance(n, str) for n in value))
    if not known:
        raise UserError(f"{option} must map names to values, but got {value!r}")


def _check_rejudge(option: str, value: Any) -> None:
    if value != 0:
        check_count(option, value, optional=True)
    if value == 1:
        raise UserError(f"{option} must be 0 or at least 2 (one has nothing to beat), but got 1")


def _check_address(option: str, value: Any) -> None:
    if value is not None:
        check_address(value)


def _check_tracker(option: str, value: Any) -> None:
    if value is None:
        return
    check_choice(option, value, known=get_args(Tracker))
    if find_spec(value) is None:
        raise UserError(f'{option} {value} needs its library: pip install -e ".[{value}]"')


CHECKS: dict[str, Check] = {
    "sampler": _check_sampler,
    "scheduler": partial(check_choice, known=SCHEDULERS),
    "stages": partial(check_choice, known=("paper", "joint")),
    "metric": _check_metric,
    "fix": _check_fix,
    "trials": partial(check_count, optional=True),
    "stage1_trials": partial(check_count, optional=True),
    "max_epochs": check_count,
    "time_budget": partial(check_positive, optional=True),
    "cpus_per_trial": check_cpus,
    "gpus_per_trial": check_gpus,
    "rejudge": _check_rejudge,
    "at_once": partial(check_count, optional=True),
    "trial_limit": check_positive,
    "tracker": _check_tracker,
    "seed": _check_seed,
    "address": _check_address,
}
"""The rule of each argument that can be checked by itself."""
