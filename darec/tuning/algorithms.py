"""How trials are drawn and how they are stopped, by name: Optuna's samplers, Tune's schedulers."""

import warnings
from collections.abc import Callable, Container

import optuna
from optuna.samplers import BaseSampler
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from darec.tuning.trainable import TIME

REDUCTION = 3
LEAST_EPOCHS = 3


def _least_epochs(epochs: int) -> int:
    """Return ASHA's first rung. Not before LEAST_EPOCHS: a first epoch ranks step sizes."""
    return min(epochs, max(LEAST_EPOCHS, epochs // REDUCTION**3))


def decided_at(scheduler: str, epochs: int) -> Container[int]:
    """Return the epochs at which a scheduler must hear from a trial at once; the last is one."""
    if scheduler in ("hyperband", "median"):
        return range(1, epochs + 1)
    rungs = {epochs}
    rung = _least_epochs(epochs)
    while scheduler == "asha" and rung < epochs:
        rungs.add(rung)
        rung *= REDUCTION
    return frozenset(rungs)


def _qmc(seed: int) -> BaseSampler:
    """Return a scrambled QMC sampler: unscrambled, its second trial is every lower bound."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.QMCSampler(seed=seed, scramble=True)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    # constant_liar: trials that still run count as bad, so that TPE does not draw them again
    "tpe": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True
    ),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": _qmc,
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
}

SCHEDULERS: dict[str, Callable[[int], TrialScheduler]] = {
    # stop-only ASHA: rungs at max/27, max/9, max/3 epochs; needs no full bracket
    "asha": lambda epochs: ASHAScheduler(
        time_attr=TIME,
        max_t=epochs,
        grace_period=_least_epochs(epochs),
        reduction_factor=REDUCTION,
    ),
    # stops trials only where as many run at once as fill a bracket
    "hyperband": lambda epochs: HyperBandScheduler(time_attr=TIME, max_t=epochs),
    "median": lambda epochs: MedianStoppingRule(time_attr=TIME, grace_period=max(1, epochs // 10)),
    "none": lambda epochs: FIFOScheduler(),
}
