"""The first sentence on the scores of several models: which is best, and by how much."""

from collections.abc import Mapping, Sequence

import numpy as np

from darec.core.cold import COLD
from darec.evaluation.scores import Score
from darec.evaluation.summary import named, summarise

BOTH = (
    '  "target and source" is the root of the sum of both squared RMSEs, which the authors\' code '
    "prints (docs/paper.md)"
)
"""What everybody who reads that row of a table must know."""


def headline(scores: Sequence[Score]) -> str:
    """Say which model has the lowest mean test RMSE, and its distance to the next and the biases.

    Distances are means and standard deviations of differences on the same test ratings.
    """
    own = [score for score in scores if score.cold == COLD]
    by_model: dict[str, dict[tuple[int, int, int | None], float]] = {}
    for score in own:
        by_model.setdefault(named(score), {})[_run(score)] = score.test_rmse
    first, *others = sorted(by_model, key=lambda name: np.mean(list(by_model[name].values())))
    biases = {_run(score): score.hierarchical_rmse for score in own if named(score) == first}
    rivals = {name: by_model[name] for name in others[:1]}
    shown = {name.partition(" ")[0] for name in (first, *rivals)}  # a metric may follow the name
    if "hierarchical_bias" not in shown:
        rivals["the hierarchical biases"] = biases
    messages = [_distance(by_model[first], errors, name) for name, errors in rivals.items()]
    rmse = summarise(list(by_model[first].values())).short
    return f"{first} has the lowest test RMSE, {rmse}: {', '.join(messages)} (cold={COLD})"


def _run(score: Score) -> tuple[int, int, int | None]:
    return score.split_seed, score.run_seed, score.fold


def _distance(
    own: Mapping[tuple[int, int, int | None], float],
    other: Mapping[tuple[int, int, int | None], float],
    name: str,
) -> str:
    """Return how far the first errors lie from the others, on the runs that both have."""
    gaps = [other[run] - error for run, error in own.items() if run in other]
    if not gaps:
        return f"no run in common with {name}"
    side = "below" if np.mean(gaps) >= 0 else "above"
    return f"{summarise(gaps).short.lstrip('-')} {side} {name}"
