"""How low each sampler gets in few trials, with and without a good guess as the first trial."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

import numpy as np

from darec.benchmark.core import Figure, times_better
from darec.benchmark.sequential import Sequential
from darec.data.split import SearchData
from darec.tuning.study.algorithms import SAMPLERS
from darec.tuning.study.request import SearchSpace

AFTER = (5, 10, 20, 40)
"""The numbers of trials after which the samplers are compared."""
RANDOM = "random"
"""The sampler that the others are compared with."""


def samplers(
    spaces: Mapping[str, SearchSpace], splits: Sequence[SearchData], trials: int, epochs: int
) -> Iterator[Figure]:
    """Compare samplers at equal numbers of trials, drawn one after another; none ends early.

    A value is the lowest validation RMSE until then minus the lowest that any sampler found in the
    end, as a mean over the splits. The reference is the value of random search.
    """
    for model, space in spaces.items():
        tasks = [Sequential(model, space, data, epochs) for data in splits]
        lowest = {
            (sampler, guess): [
                np.minimum.accumulate(
                    [trial.rmse for trial in task.search(sampler, seed, starts, trials)]
                )
                for seed, task in enumerate(tasks)
            ]
            for sampler in (RANDOM, *(name for name in SAMPLERS if name != RANDOM))
            for guess, starts in ((True, [space.start]), (False, []))
        }
        ends = [min(trial.rmse for trial in task.known.values()) for task in tasks]
        for (sampler, guess), curves in lowest.items():
            for after in (each for each in AFTER if each <= trials):
                value, of_random = (
                    mean(curve[after - 1] - end for curve, end in zip(each, ends, strict=True))
                    for each in (curves, lowest[RANDOM, guess])
                )
                name = f"{model}_{sampler}{'_guess' if guess else ''}_after_{after}"
                better = times_better(value, of_random)
                yield Figure(name, value, "RMSE", of_random, better)
