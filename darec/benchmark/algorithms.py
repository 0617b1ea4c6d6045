"""Samplers with schedulers at equal compute: how low each gets in the seconds of a plain search.

Trials run one after another in this process. Seconds are CPU seconds, of training and the sampler.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import optuna

from darec.benchmark.core import Figure
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import DivergedError, MemoryCache, Run
from darec.data.split import SearchData
from darec.models import kind_of
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.request import SearchSpace
from darec.tuning.trial.names import METRIC, TIME, nest

PLAIN = ("random", "none")
"""The search that the others are compared with: random trials, none stopped early."""
COMPARED = (
    PLAIN,
    ("random", "asha"),
    ("random", "median"),
    ("random", "asha+median"),
    ("tpe", "asha"),
    ("gp", "asha"),
)
"""A sampler, and the schedulers that may stop its trials."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
"""The shares of the plain search's seconds after which searches are compared."""


@dataclass
class Curve:
    """The lowest validation RMSE of a configuration after each epoch, and the seconds until then.

    It is trained as far as asked, and again from its beginning if it is asked for more later.
    """

    start: Callable[[], Fit]
    epochs: int
    rmses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ended: bool = False
    """Whether the training is over: it diverged, stalled or had all of its epochs."""

    def rows(self) -> Iterator[tuple[float, float]]:
        """Yield the RMSE and the seconds of one epoch after another."""
        fit = None
        for n in range(self.epochs):
            if n == len(self.rmses):
                if self.ended:
                    return
                fit = fit or self._again()
                self._train(fit)
            yield self.rmses[n], self.seconds[n]

    def _again(self) -> Fit:
        begin = time.process_time()
        fit = self.start()
        for _ in self.rmses:
            fit.step()
        if not self.rmses:
            self._spent = time.process_time() - begin
        return fit

    def _train(self, fit: Fit) -> None:
        begin = time.process_time()
        try:
            fit.step()
        except DivergedError:
            self.ended = True
        known = self.seconds[-1] if self.seconds else self._spent
        self.seconds.append(known + time.process_time() - begin)
        worst = self.rmses[-1] if self.rmses else float("inf")
        self.rmses.append(min(fit.best_rmse, worst))
        self.ended |= fit.stalled or len(self.rmses) == self.epochs


@dataclass(frozen=True)
class Searched:
    """The lowest validation RMSE so far after each trial, and the seconds until then."""

    rmses: list[float]
    seconds: list[float]

    def after(self, seconds: float) -> float:
        """Return the lowest RMSE of the trials that ended within some seconds."""
        return min(
            (r for r, s in zip(self.rmses, self.seconds, strict=True) if s <= seconds),
            default=self.rmses[0],
        )

    def reach(self, rmse: float) -> float:
        """Return the seconds until a validation RMSE was reached; infinite if it never was."""
        return next(
            (s for r, s in zip(self.rmses, self.seconds, strict=True) if r <= rmse), float("inf")
        )


class Schedulers:
    """Several of Tune's schedulers, each of which may stop the one trial that runs."""

    def __init__(self, names: str, epochs: int) -> None:
        self._all = [SCHEDULERS[name].make(epochs) for name in names.split("+")]
        for scheduler in self._all:
            scheduler.set_search_properties(METRIC, "min")

    def run(self, trial: "Trial", curve: Curve) -> tuple[float, float]:
        """Return the lowest RMSE of a trial and its seconds until its end."""
        result, seconds = {METRIC: float("inf"), TIME: 0}, 0.0
        for scheduler in self._all:
            scheduler.on_trial_add(self, trial)
        for epoch, (rmse, spent) in enumerate(curve.rows(), 1):
            result, seconds = {METRIC: rmse, TIME: epoch}, spent
            decisions = [each.on_trial_result(self, trial, result) for each in self._all]
            if "STOP" in decisions:
                break
        for scheduler in self._all:
            scheduler.on_trial_complete(self, trial, result)
        return result[METRIC], seconds

    def get_live_trials(self) -> list["Trial"]:
        """Return the other trials of the controller that this stands for: there are none."""
        return []


@dataclass(frozen=True)
class Trial:
    """What schedulers know of a trial."""

    trial_id: str


def algorithms(
    model: str,
    space: SearchSpace,
    splits: Sequence[SearchData],
    trials: int,
    epochs: int,
    guess: bool = False,
) -> Iterator[Figure]:
    """Compare `COMPARED` in the seconds that a plain search of some trials takes.

    A value is the lowest validation RMSE by then minus the lowest that any search found in the end,
    as a mean over the splits; the reference is that of the plain search. The figures ``reach`` are
    the seconds until a search was as good as the plain one in the end, as a mean over the splits.
    With ``guess`` every search begins with the model's good guess.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[tuple[str, str], list[Searched]] = {each: [] for each in COMPARED}
    for seed, data in enumerate(splits):
        known: dict[str, Curve] = {}
        start = dict(space.start) if guess else None
        for each in COMPARED:
            limit = found[PLAIN][seed].seconds[-1] if each != PLAIN else None
            found[each].append(
                _search(model, space, data, each, seed, trials, epochs, limit, known, start)
            )
    plain = found[PLAIN]
    ends = [min(own[seed].rmses[-1] for own in found.values()) for seed in range(len(splits))]
    for (sampler, scheduler), own in found.items():
        name = f"{model}_{sampler}_{scheduler}{'_guess' if guess else ''}"
        for share in SHARES:
            value, reference = (
                mean(
                    run.after(share * whole.seconds[-1]) - end
                    for run, whole, end in zip(runs, plain, ends, strict=True)
                )
                for runs in (own, plain)
            )
            better = reference / value if value else float("inf")
            yield Figure(f"{name}_after_{share:g}", value, "RMSE", reference, better)
        reached, whole_s = (
            mean(
                min(run.reach(whole.rmses[-1]), whole.seconds[-1])
                for run, whole in zip(own, plain, strict=True)
            ),
            mean(whole.seconds[-1] for whole in plain),
        )
        yield Figure(f"{name}_reach", reached, "s", whole_s, whole_s / reached)


def _search(
    model: str,
    space: SearchSpace,
    data: SearchData,
    algorithm: tuple[str, str],
    seed: int,
    trials: int,
    epochs: int,
    limit: float | None,
    known: dict[str, Curve],
    start: dict[str, Any] | None,
) -> Searched:
    """Run one search: so many trials, or until ``limit`` seconds are used up."""
    sampler, names = algorithm
    study, schedulers = (
        optuna.create_study(sampler=SAMPLERS[sampler](seed)),
        Schedulers(names, epochs),
    )
    if start:
        study.enqueue_trial(start)
    rmses: list[float] = []
    seconds: list[float] = []
    while len(rmses) < trials if limit is None else not seconds or seconds[-1] < limit:
        begin = time.process_time()
        trial = study.ask(dict(space.space))
        asked_s = time.process_time() - begin
        config = nest({**space.fixed, **trial.params})
        curve = known.setdefault(repr(config), Curve(_starter(model, config, data), epochs))
        rmse, spent = schedulers.run(Trial(str(len(rmses))), curve)
        begin = time.process_time()
        study.tell(trial, min(rmse, data.valid.scale.range))
        spent += asked_s + time.process_time() - begin
        rmses.append(min(rmse, rmses[-1] if rmses else rmse))
        seconds.append(spent + (seconds[-1] if seconds else 0.0))
    return Searched(rmses, seconds)


def _starter(model: str, config: dict[str, Any], data: SearchData) -> Callable[[], Fit]:
    kind = kind_of(model)

    def start() -> Fit:
        parsed = parse(kind.config, config)
        return Fit(kind.build(parsed, data.training, Run(cache=MemoryCache())), data)

    return start
