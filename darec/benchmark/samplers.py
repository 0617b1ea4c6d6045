"""How low each sampler gets in few trials, with and without a good guess as the first trial."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
import optuna

from darec.benchmark.core import Figure, times_better
from darec.core.config import parse
from darec.core.fit import trained
from darec.core.recommender import DivergedError, MemoryCache, Run
from darec.data.split import SearchData
from darec.models import kind_of
from darec.tuning.study.algorithms import SAMPLERS
from darec.tuning.study.request import SearchSpace
from darec.tuning.trial.names import nest

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
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for model, space in spaces.items():
        known: list[dict[str, float]] = [{} for _ in splits]
        lowest = {
            (sampler, guess): [
                _lowest(model, space, data, sampler, seed, guess, trials, epochs, known[seed])
                for seed, data in enumerate(splits)
            ]
            for sampler in (RANDOM, *(name for name in SAMPLERS if name != RANDOM))
            for guess in (True, False)
        }
        ends = [min(known[seed].values()) for seed in range(len(splits))]
        for (sampler, guess), curves in lowest.items():
            for after in (each for each in AFTER if each <= trials):
                value, of_random = (
                    mean(curve[after - 1] - end for curve, end in zip(each, ends, strict=True))
                    for each in (curves, lowest[RANDOM, guess])
                )
                name = f"{model}_{sampler}{'_guess' if guess else ''}_after_{after}"
                better = times_better(value, of_random)
                yield Figure(name, value, "RMSE", of_random, better)


def _lowest(
    model: str,
    space: SearchSpace,
    data: SearchData,
    sampler: str,
    seed: int,
    guess: bool,
    trials: int,
    epochs: int,
    known: dict[str, float],
) -> Any:
    """Return the lowest validation RMSE f64[trials] after each trial; fill ``known`` configs."""
    study = optuna.create_study(sampler=SAMPLERS[sampler](seed))
    if guess:
        study.enqueue_trial(dict(space.start))
    found = []
    for _ in range(trials):
        trial = study.ask(dict(space.space))
        config = nest({**space.fixed, **trial.params})
        key = repr(config)
        if key not in known:
            known[key] = _valid_rmse(model, config, data, epochs)
        found.append(known[key])
        study.tell(trial, known[key])
    return np.minimum.accumulate(found)


def _valid_rmse(model: str, config: dict[str, Any], data: SearchData, epochs: int) -> float:
    """Return the lowest validation RMSE of a configuration; the worst if it diverges."""
    kind = kind_of(model)
    try:
        built = kind.build(parse(kind.config, config), data.training, Run(cache=MemoryCache()))
        return trained(built, data, epochs).best_rmse
    except DivergedError:
        return data.valid.scale.range
