"""Whether a search gains from a portfolio: the winners on other pairs as further starts.

The portfolio of a pair is made without the pair itself.
"""

from collections.abc import Iterator, Mapping

from darec.benchmark.core import Figure, times_better
from darec.benchmark.sequential import Sequential, Trial
from darec.data.split import SearchData
from darec.models import kind_of
from darec.tuning.study.request import SearchSpace
from search_spaces import SPACES, Space

AFTER = (2, 5, 12)
"""The numbers of trials after which searches with and without a portfolio are compared."""
SAMPLER = "gp"
"""The sampler of both, the default of a search."""


def one_search(model: str) -> Space:
    """Return a model's space; a first stage is held fixed at its own good guess."""
    space, stage1 = SPACES[model], kind_of(model).stage1
    if stage1 is None:
        return space
    given = SPACES[stage1.model]
    held = {**given.fixed, **given.first, **given.joint_first}
    return space.fix({f"{stage1.field}/{name}": value for name, value in held.items()})


def starts(
    model: str, space: SearchSpace, pairs: Mapping[str, SearchData], trials: int, epochs: int
) -> Iterator[Figure]:
    """Compare searches that start with the good guess alone and with a portfolio after it.

    The portfolio has the winners of the other pairs' searches, which start with the guess alone. A
    value is the lowest validation RMSE until then minus the lowest that either search found; the
    reference is that of the guess alone. The figures ``seconds`` are the CPU seconds of training
    until a search was as good as the guess alone is in the end; a search that never was counts
    with all of its seconds. Two pairs have two seeds, so that they do not draw the same.
    """
    tasks = {pair: Sequential(model, space, data, epochs) for pair, data in pairs.items()}
    alone = {
        pair: task.search(SAMPLER, seed, [space.start], trials)
        for seed, (pair, task) in enumerate(tasks.items())
    }
    winners = {pair: min(found, key=lambda trial: trial.rmse) for pair, found in alone.items()}
    for seed, (pair, task) in enumerate(tasks.items()):
        portfolio = [space.start]
        for other, winner in winners.items():
            if other != pair and winner.drawn not in portfolio:
                portfolio.append(winner.drawn)
        found = task.search(SAMPLER, seed, portfolio, trials)
        end = min(trial.rmse for trial in task.known.values())
        for after in (each for each in AFTER if each <= trials):
            value, reference = (_lowest(each, after) - end for each in (found, alone[pair]))
            better = times_better(value, reference)
            yield Figure(f"{model}_{pair}_after_{after}", value, "RMSE", reference, better)
        goal = winners[pair].rmse
        value, reference = (_seconds(each, goal) for each in (found, alone[pair]))
        yield Figure(f"{model}_{pair}_seconds", value, "s", reference, reference / value)


def _lowest(trials: list[Trial], after: int) -> float:
    return min(trial.rmse for trial in trials[:after])


def _seconds(trials: list[Trial], goal: float) -> float:
    """Return the CPU seconds until an RMSE was reached, or those of all trials."""
    reached = [n for n, trial in enumerate(trials, 1) if trial.rmse <= goal]
    return sum(trial.seconds for trial in trials[: min(reached, default=len(trials))])
