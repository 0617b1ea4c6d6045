"""Samplers, which draw trials, and schedulers, which stop them early, by name.

To add one, add an entry here, or to the dictionary from your own program. Ray and Optuna are
imported when an entry is used, so that the commands can list the names quickly.
"""

import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darec.tuning.trial.names import TIME

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from ray.tune.schedulers import TrialScheduler

REDUCTION = 3
"""At each rung ASHA keeps one trial in this many; the next rung is this many times later."""
FIRST_RUNG = 3
"""The earliest epoch of ASHA's first rung. After one epoch the learning rate decides the rank."""


def _tpe(seed: int) -> "BaseSampler":
    """Return TPE. It treats running trials as bad ones, so that it draws different ones."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _random(seed: int) -> "BaseSampler":
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def _qmc(seed: int) -> "BaseSampler":
    """Return a scrambled QMC sampler: without scrambling, trial 2 is every lower bound."""
    from optuna.samplers import QMCSampler

    with _experimental():
        return QMCSampler(seed=seed, scramble=True)


def _gp(seed: int) -> "BaseSampler":
    """Return a Gaussian process that draws from the sixth trial on (docs/performance.md)."""
    from optuna.samplers import GPSampler

    with _experimental():  # before Optuna 5
        return GPSampler(seed=seed, n_startup_trials=5)


@contextmanager
def _experimental() -> Iterator[None]:
    """Do not warn that a sampler is experimental."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _nsga2(seed: int) -> "BaseSampler":
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], "BaseSampler"]] = {
    "tpe": _tpe,
    "random": _random,
    "qmc": _qmc,
    "gp": _gp,
    "nsga2": _nsga2,
}
"""By name, a function that makes an Optuna sampler from a seed."""


MOST_FOR_GP = 200
"""Most trials of a study that a Gaussian process draws by default. It takes 0.2 s for each, and
longer the more trials it knows."""


def default_sampler(trials: int) -> str:
    """Return the sampler of a study of this many trials (docs/performance.md, Samplers)."""
    return "gp" if trials <= MOST_FOR_GP else "tpe"


@dataclass(frozen=True)
class Scheduler:
    """A scheduler of Tune, and what the search must know about it."""

    make: Callable[[int], "TrialScheduler"]
    """Makes the scheduler, given the maximum number of epochs of a trial."""
    decides_at: Callable[[int], Container[int]]
    """Returns the epochs at which it decides, given the maximum number of epochs of a trial."""
    epoch_share: float
    """Observed mean share of the maximum that a trial trains; used to estimate the time."""
    in_order: Callable[[int], "TrialScheduler"] | None = None
    """Makes the same without any influence of timing (`darec.tuning.study.in_order`)."""

    def share_of(self, epochs: int) -> float:
        """Return the mean share that trials train of so many epochs; of one they train all."""
        return self.epoch_share if epochs > 1 else 1.0


def first_rung(epochs: int) -> int:
    """Return the epoch of ASHA's first rung."""
    return min(epochs, max(FIRST_RUNG, epochs // REDUCTION**3))


def _rungs(epochs: int) -> frozenset[int]:
    """Return ASHA's rungs and the last epoch: of 100 epochs 3, 9, 27, 81 and 100."""
    rungs, rung = {epochs}, first_rung(epochs)
    while rung < epochs:
        rungs.add(rung)
        rung *= REDUCTION
    return frozenset(rungs)


def _every_epoch(epochs: int) -> Container[int]:
    return range(1, epochs + 1)


def _last_epoch(epochs: int) -> Container[int]:
    return frozenset({epochs})


def asha(epochs: int, bracket: int = 0) -> "TrialScheduler":
    """Return ASHA. It stops trials at its rungs without waiting for other trials.

    In a later bracket of HyperBand the first rungs are left out, as many as its number.
    """
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr=TIME,
        max_t=epochs,
        grace_period=min(epochs, first_rung(epochs) * REDUCTION**bracket),
        reduction_factor=REDUCTION,
    )


def _asha_in_order(epochs: int) -> "TrialScheduler":
    from darec.tuning.study.in_order import InOrderHalving

    return InOrderHalving([rung for rung in _rungs(epochs) if rung < epochs], REDUCTION)


def _hyperband(epochs: int) -> "TrialScheduler":
    """Return HyperBand; it stops trials only if enough run at once to fill a bracket."""
    from ray.tune.schedulers import HyperBandScheduler

    return HyperBandScheduler(time_attr=TIME, max_t=epochs)


def _median(epochs: int) -> "TrialScheduler":
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(time_attr=TIME, grace_period=max(1, epochs // 10))


def _none(epochs: int) -> "TrialScheduler":
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


SCHEDULERS: dict[str, Scheduler] = {
    "asha": Scheduler(asha, _rungs, epoch_share=1 / 4, in_order=_asha_in_order),
    "hyperband": Scheduler(_hyperband, _every_epoch, epoch_share=1.0),
    "median": Scheduler(_median, _every_epoch, epoch_share=1 / 2),
    "none": Scheduler(_none, _last_epoch, epoch_share=1.0, in_order=_none),
}
