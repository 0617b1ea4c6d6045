"""Whether it pays to judge a search's best configurations again, at equal numbers of trainings.

The trials of a search are drawn one after another by the default sampler. Its winner is chosen in
several ways, trained on the split that was searched, and scored on the split's test ratings.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import mean

import numpy as np

from darec.benchmark.core import Figure, times_better
from darec.benchmark.sequential import Sequential, Trial
from darec.core.config import parse
from darec.core.recommender import Run
from darec.data.ratings import DomainPair
from darec.data.split import split
from darec.evaluation.evaluate import rmse_on_test
from darec.evaluation.training import train_again
from darec.models import kind_of
from darec.seeds import derive
from darec.tuning.study.request import SearchSpace
from darec.tuning.trial.names import nest

SAMPLER = "gp"
"""The default sampler of a search."""


@dataclass(frozen=True)
class Way:
    """A way to choose the winner of a search."""

    name: str
    more_trials: int = 0
    """How many trials the search has in addition."""
    configs: int = 1
    """How many of the best configurations are judged again."""
    divisions: int = 0
    """On how many other divisions of the same ratings each of them is judged."""


FIRST = Way("first")
"""The lowest validation RMSE wins, as in a search without ``--rejudge``."""
WAYS = (
    FIRST,
    Way("8_more", more_trials=8),
    Way("best_4_on_2", configs=4, divisions=2),
    Way("best_2_on_4", configs=2, divisions=4),
    Way("20_more", more_trials=20),
    Way("best_5_on_4", configs=5, divisions=4),
)
"""Second judgements, each after as many more trials as it trains configurations."""


@dataclass
class Searched:
    """A search on one split, and the test RMSEs of the configurations that were chosen."""

    task: Sequential
    pair: DomainPair
    seed: int
    trials: list[Trial]
    scores: dict[str, float] = field(default_factory=dict)
    others: list[Sequential] = field(default_factory=list)
    """Other divisions of the split's training and validation ratings."""

    def test_rmse(self, way: Way, trials: int) -> float:
        """Return the test RMSE of the winner that a way chooses of so many trials or some more."""
        winner = self._winner(way, trials + way.more_trials)
        if winner.key not in self.scores:
            task, kind = self.task, kind_of(self.task.model)
            config = parse(kind.config, nest({**task.space.fixed, **winner.drawn}))
            epochs = 1 if kind.whole_fit else task.epochs
            found = train_again(kind, config, epochs, task.data, Run(cache=task.cache))
            self.scores[winner.key] = rmse_on_test(found.model, split(self.pair, seed=self.seed))
        return self.scores[winner.key]

    def _winner(self, way: Way, trials: int) -> Trial:
        best = sorted(self.trials[:trials], key=lambda trial: trial.rmse)
        if not way.divisions:
            return best[0]
        return min(best[: way.configs], key=lambda trial: self._again(trial, way.divisions))

    def _again(self, trial: Trial, divisions: int) -> float:
        """Return the mean validation RMSE of a configuration on other divisions."""
        task = self.task
        for n in range(len(self.others), divisions):
            data = task.data.reshuffled(derive(self.seed, "rejudge", n))
            self.others.append(Sequential(task.model, task.space, data, task.epochs))
        return mean(other.train(trial.drawn).rmse for other in self.others[:divisions])


def rejudge(
    model: str, space: SearchSpace, pair: DomainPair, seeds: int, trials: int, epochs: int
) -> Iterator[Figure]:
    """Compare `WAYS` to choose the winner of a search of so many trials, on some splits.

    A gap is the winner's test RMSE minus the lowest that any way has on the split. A value is the
    mean gap over the splits, and the figures ``_sd`` are its standard deviation. The reference is
    that of `FIRST`.
    """
    most = trials + max(way.more_trials for way in WAYS)
    searches = []
    for seed in range(seeds):
        task = Sequential(model, space, split(pair, seed=seed).search, epochs)
        starts = [space.start] if space.start else []
        searches.append(Searched(task, pair, seed, task.search(SAMPLER, seed, starts, most)))
    scores = [[each.test_rmse(way, trials) for way in WAYS] for each in searches]
    gaps = np.array(scores) - np.min(scores, axis=1, keepdims=True)
    for end, found in ("", gaps.mean(0)), ("_sd", gaps.std(0, ddof=1)):
        for way, value in zip(WAYS, found.tolist(), strict=True):
            reference = found[WAYS.index(FIRST)].item()
            better = times_better(value, reference)
            yield Figure(f"{model}_{way.name}{end}", value, "RMSE", reference, better)
