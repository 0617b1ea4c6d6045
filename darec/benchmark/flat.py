"""What ``--stop-when-flat`` saves and what it costs, compared with other limits.

Default searches are run to their last trial and replayed: with a limit, a search ends at the first
bound below it. A limit is a share of the standard error of a validation RMSE. Seconds are CPU
seconds of training, the sampler and the bounds.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

import optuna

from darec.benchmark.algorithms import DEFAULT, Searched, Task, search
from darec.benchmark.core import Figure, times_better
from darec.data.split import SearchData
from darec.tuning.study.flat import EVERY, FEWEST, PAIRED, Flat, standard_error
from darec.tuning.study.request import SearchSpace

LIMITS = (1, 1 / 2, 1 / 3, PAIRED, 1 / 5)
"""The limits that are compared, in standard errors of one validation RMSE."""


@dataclass(frozen=True)
class Bound:
    """By how much a search said that its validation RMSE can still fall."""

    after: int
    """The number of trials."""
    value: float
    seconds: float
    """The CPU seconds of computing it."""


@dataclass(frozen=True)
class Ended:
    """A search that ended at a bound, or after all of its trials."""

    trials: int
    regret: float
    """Its lowest validation RMSE minus that of all trials."""
    seconds: float


@dataclass(frozen=True)
class Replayed:
    """A whole search and its bounds."""

    whole: Searched
    bounds: Sequence[Bound]
    standard_error: float
    """The standard error of a validation RMSE on its validation ratings."""

    def ended(self, limit: float) -> Ended:
        """Return the search as it would have been with a limit."""
        bounds_s = 0.0
        trials = len(self.whole.rmses)
        for bound in self.bounds:
            bounds_s += bound.seconds
            if bound.value < limit * self.standard_error:
                trials = bound.after
                break
        last = trials - 1
        regret = self.whole.rmses[last] - self.whole.rmses[-1]
        return Ended(trials, regret, self.whole.seconds[last] + bounds_s)


def bounds(whole: Searched, seed: int) -> Iterator[Bound]:
    """Yield the bounds of a search from `FEWEST` trials on, after each `EVERY` further ones."""
    study, flat = optuna.create_study(), Flat(tolerance=0.0, seed=seed)
    for count, trial in enumerate(whole.trials[:-1], 1):
        study.add_trial(trial)
        if count >= FEWEST and (count - FEWEST) % EVERY == 0:
            begin = time.process_time()
            flat.look(study)
            assert flat.bound is not None
            yield Bound(count, flat.bound, time.process_time() - begin)


def flat(
    model: str, space: SearchSpace, splits: Sequence[SearchData], trials: int, epochs: int
) -> Iterator[Figure]:
    """Replay default searches, one for each split, with `LIMITS`.

    Four figures a limit. ``trials`` and ``seconds`` are means over the splits, beside those of
    searches that do not end early. ``regret`` and ``largest`` are the mean and the largest regret,
    beside the limit's own share of the standard error.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    starts = [space.start] if space.start else []
    searches = []
    for seed, data in enumerate(splits):
        whole = search(Task(model, space, data, seed, epochs), DEFAULT, trials, starts=starts)
        searches.append(Replayed(whole, list(bounds(whole, seed)), standard_error(data)))
    whole_s = mean(each.whole.seconds[-1] for each in searches)
    for limit in LIMITS:
        found = [each.ended(limit) for each in searches]
        regrets = [each.regret for each in found]
        message = limit * mean(each.standard_error for each in searches)
        for name, unit, value, reference in (
            ("trials", "trials", mean(each.trials for each in found), trials),
            ("seconds", "s", mean(each.seconds for each in found), whole_s),
            ("regret", "RMSE", mean(regrets), message),
            ("largest", "RMSE", max(regrets), message),
        ):
            better = times_better(value, reference)
            yield Figure(f"{model}_{limit:.2f}_{name}", value, unit, reference, better)
