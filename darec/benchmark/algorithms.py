"""Samplers with schedulers at equal compute: the lowest validation RMSE that each finds in time.

The time is that of a plain search: random trials, none of them stopped early. Trials run one after
another in this process. Seconds are CPU seconds, of training and the sampler.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from darec.benchmark.core import Figure, times_better
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import DivergedError, MemoryCache, Run
from darec.data.split import SearchData
from darec.models import kind_of
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS, asha
from darec.tuning.study.request import SearchSpace
from darec.tuning.trial.names import METRIC, TIME, nest

ASYNC_HYPERBAND = "async_hyperband"
"""HyperBand that waits for nothing: ASHA whose trials are dealt to brackets with later first rungs.
Tune's HyperBand stops a trial only when a whole bracket of trials has come as far."""
BRACKETS = (0, 0, 1, 0, 0, 2, 0, 0, 1)
"""The brackets of nine trials; most begin with the first rung, as in HyperBand."""
PLAIN = ("random", "none")
"""The search that the others are compared with: random trials, none stopped early."""
COMPARED = (
    PLAIN,
    ("random", "asha"),
    ("random", "median"),
    ("random", "asha+median"),
    ("random", ASYNC_HYPERBAND),
    ("tpe", "asha"),
    ("gp", "asha"),
)
"""A sampler, and the schedulers that may stop its trials."""
DEFAULT = ("gp", "asha")
"""The default of a search."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
"""The shares of the plain search's seconds after which searches are compared."""


@dataclass
class Curve:
    """The lowest validation RMSE of a configuration after each epoch, and the seconds until then.

    It is trained as far as asked, and again from its beginning if it is asked for more later.
    """

    start: Callable[[], Fit]
    """Begins the training; raises `DivergedError` if the model cannot be built."""
    epochs: int
    worst: float
    """The RMSE of a model that diverged before its first epoch ended."""
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
                fit = self._next_epoch(fit)
            yield self.rmses[n], self.seconds[n]

    def _next_epoch(self, fit: Fit | None) -> Fit | None:
        """Train one more epoch, and return what trained it."""
        begin, rmse = time.process_time(), self.worst
        try:
            if fit is None:
                fit = self.start()
                for _ in self.rmses:
                    fit.step()
                if self.rmses:
                    begin = time.process_time()  # these epochs are counted already
            fit.step()
            rmse = fit.best_rmse
        except DivergedError:
            self.ended = True
        self.seconds.append(time.process_time() - begin + max(self.seconds, default=0.0))
        self.rmses.append(min([rmse, *self.rmses[-1:]]))
        self.ended |= len(self.rmses) == self.epochs or (fit is not None and fit.stalled)
        return fit


@dataclass(frozen=True)
class Searched:
    """The lowest validation RMSE so far after each trial, and the seconds until then."""

    rmses: list[float]
    seconds: list[float]
    trials: list[FrozenTrial] = field(default_factory=list)
    """The trials as Optuna keeps them."""

    def after(self, seconds: float) -> float:
        """Return the lowest RMSE of the trials that ended within some seconds, or of the first."""
        ended = [rmse for rmse, s in zip(self.rmses, self.seconds, strict=True) if s <= seconds]
        return min(ended, default=self.rmses[0])

    @property
    def winner(self) -> dict[str, Any]:
        """What was drawn for the trial with the lowest RMSE."""
        return self.trials[self.rmses.index(self.rmses[-1])].params

    def reach(self, rmse: float, limit: float) -> float:
        """Return the seconds until a validation RMSE was reached, ``limit`` at most."""
        reached = (s for own, s in zip(self.rmses, self.seconds, strict=True) if own <= rmse)
        return min(next(reached, limit), limit)


@dataclass(frozen=True)
class Trial:
    """What schedulers know of a trial."""

    trial_id: str


class Schedulers:
    """Several of Tune's schedulers, each of which may stop the one trial that runs."""

    def __init__(self, names: str, epochs: int) -> None:
        self._epochs, self._begun = epochs, 0
        self._all = [self._brackets(name) for name in names.split("+")]
        for scheduler in itertools.chain.from_iterable(self._all):
            scheduler.set_search_properties(METRIC, "min")

    def _brackets(self, name: str) -> list[Any]:
        """Return one scheduler, or one for each bracket of asynchronous HyperBand."""
        if name == ASYNC_HYPERBAND:
            return [asha(self._epochs, bracket) for bracket in range(max(BRACKETS) + 1)]
        return [SCHEDULERS[name].make(self._epochs)]

    def run(self, trial: Trial, curve: Curve) -> tuple[float, float]:
        """Return the lowest RMSE of a trial and its seconds until its end."""
        result: dict[str, Any] = {}
        seconds, bracket = 0.0, BRACKETS[self._begun % len(BRACKETS)]
        own = [each[min(bracket, len(each) - 1)] for each in self._all]
        self._begun += 1
        for scheduler in own:
            scheduler.on_trial_add(self, trial)
        for epoch, (rmse, spent) in enumerate(curve.rows(), 1):
            result, seconds = {METRIC: rmse, TIME: epoch}, spent
            stops = [each.on_trial_result(self, trial, result) == each.STOP for each in own]
            if any(stops):
                break
        for scheduler in own:
            scheduler.on_trial_complete(self, trial, result)
        return float(result[METRIC]), seconds

    def get_live_trials(self) -> list[Trial]:
        """Return the other trials of the controller that this stands for: there are none."""
        return []


@dataclass(frozen=True)
class Task:
    """What the searches on one split have in common."""

    model: str
    space: SearchSpace
    data: SearchData
    seed: int
    epochs: int
    known: dict[str, Curve] = field(default_factory=dict)
    """The curves of all configurations that a search has drawn so far."""

    def curve(self, config: dict[str, Any]) -> Curve:
        """Return the curve of a configuration."""

        def start() -> Fit:
            kind = kind_of(self.model)
            run = Run(cache=MemoryCache())
            return Fit(kind.build(parse(kind.config, config), self.data.training, run), self.data)

        epochs = 1 if kind_of(self.model).whole_fit else self.epochs
        worst = self.data.valid.scale.range
        return self.known.setdefault(repr(config), Curve(start, epochs, worst))


def algorithms(
    model: str, space: SearchSpace, splits: Sequence[SearchData], trials: int, epochs: int
) -> Iterator[Figure]:
    """Compare `COMPARED` in the seconds that a plain search of some trials takes.

    A value is the lowest validation RMSE by then minus the lowest that any search found in the end,
    as a mean over the splits; the reference is that of the plain search. The figures ``reach`` are
    the seconds until a search was as good as the plain one in the end, as a mean over the splits; a
    search that never was counts with all of the plain one's seconds. No search begins with the
    model's good guess.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tasks = [Task(model, space, data, seed, epochs) for seed, data in enumerate(splits)]
    plain = [search(task, PLAIN, trials=trials) for task in tasks]
    limits = [each.seconds[-1] for each in plain]
    found = {PLAIN: plain} | {
        each: [search(task, each, limit=s) for task, s in zip(tasks, limits, strict=True)]
        for each in COMPARED
        if each != PLAIN
    }
    ends = [min(own[seed].rmses[-1] for own in found.values()) for seed in range(len(splits))]

    def gap(runs: list[Searched], share: float) -> float:
        whole = zip(runs, limits, ends, strict=True)
        return mean(run.after(share * seconds) - end for run, seconds, end in whole)

    for (sampler, scheduler), own in found.items():
        name = f"{model}_{sampler}_{scheduler}"
        for share in SHARES:
            value, reference = gap(own, share), gap(plain, share)
            better = times_better(value, reference)
            yield Figure(f"{name}_after_{share:g}", value, "RMSE", reference, better)
        reached = mean(
            run.reach(whole.rmses[-1], whole.seconds[-1])
            for run, whole in zip(own, plain, strict=True)
        )
        yield Figure(f"{name}_reach", reached, "s", mean(limits), mean(limits) / reached)


def warm_start(
    model: str,
    space: SearchSpace,
    pairs: Mapping[str, Sequence[SearchData]],
    trials: int,
    epochs: int,
) -> Iterator[Figure]:
    """Compare `DEFAULT`, which first tries winners of other pairs, with a plain search.

    The winners are those of plain searches of the other pairs' first splits. A value is the seconds
    until the search was as good as the plain one of the same pair in the end, as a mean over its
    splits; a search that never was counts with all seconds of the plain one. The reference is these
    seconds, since only then the plain search's best is known. The figure ``_first`` takes the
    seconds at which that best was first seen.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tasks = {
        pair: [Task(model, space, data, seed, epochs) for seed, data in enumerate(splits)]
        for pair, splits in pairs.items()
    }
    plain = {
        pair: [search(task, PLAIN, trials=trials) for task in own] for pair, own in tasks.items()
    }
    for pair, own in tasks.items():
        starts = [found[0].winner for other, found in plain.items() if other != pair]
        spent = []
        for task, whole in zip(own, plain[pair], strict=True):
            limit, goal = whole.seconds[-1], whole.rmses[-1]
            found = search(task, DEFAULT, limit=limit, starts=starts)
            spent.append(found.reach(goal, limit))
        value, name = mean(spent), f"{model}_{pair}_warm_start"
        whole_s = mean(whole.seconds[-1] for whole in plain[pair])
        first_s = mean(whole.reach(whole.rmses[-1], whole.seconds[-1]) for whole in plain[pair])
        for label, reference in ((name, whole_s), (f"{name}_first", first_s)):
            yield Figure(label, value, "s", reference, reference / value)


def search(
    task: Task,
    algorithm: tuple[str, str],
    trials: float = math.inf,
    limit: float = math.inf,
    starts: Sequence[Mapping[str, Any]] = (),
) -> Searched:
    """Run a search of this many trials, or until ``limit`` seconds are used up.

    ``starts`` are the first trials.
    """
    sampler, schedulers = algorithm
    study = optuna.create_study(sampler=SAMPLERS[sampler](task.seed))
    for start in starts:
        study.enqueue_trial(dict(start))
    stopping = Schedulers(schedulers, task.epochs)
    rmses: list[float] = []
    seconds: list[float] = []
    total_s = 0.0
    while len(rmses) < trials and total_s < limit:
        begin = time.process_time()
        trial = study.ask(dict(task.space.space))
        asked_s = time.process_time() - begin
        curve = task.curve(nest({**task.space.fixed, **trial.params}))
        rmse, spent = stopping.run(Trial(str(len(rmses))), curve)
        begin = time.process_time()
        study.tell(trial, rmse)
        total_s += spent + asked_s + time.process_time() - begin
        rmses.append(min([rmse, *rmses[-1:]]))
        seconds.append(total_s)
    return Searched(rmses, seconds, study.get_trials(deepcopy=False))
