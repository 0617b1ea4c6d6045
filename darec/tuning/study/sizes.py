"""Fits what a search draws to the machines and to the size of the ratings.

Small pairs keep the whole space. On large ones, the sizes that are drawn end where a trial would no
longer fit, and the decay is of the kind whose cost does not grow with the square of the data.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, IntDistribution

from darec.data.split import SearchData
from darec.models.best import SpaceRecord, distribution_of
from darec.tuning.study.request import Request, SearchSpace, largest_trial, n_weights

S = TypeVar("S", bound=SearchSpace)

SIZES = ("hidden", "extractor", "factors", "rank", "meta")
"""The hyper-parameters that decide a model's number of weights."""
STEPS = 32
"""So many steps lie between the whole range of a size and its lowest value."""
COUPLED_COST = 16.0
"""With coupled decay, a step of Adam moves every weight. If that is so many times the work on the
ratings, the decay is decoupled by default. Below 10 on all pairs of Table 1."""
COUPLED = "decay", "coupled"
BATCH = 128
"""A middling number of rows in a batch."""


def fitted(request: Request, fits: Callable[[int], bool]) -> Request:
    """Return the request with sizes that end where the largest trial fits.

    ``fits`` judges a number of weights. If not even the lowest sizes fit, nothing is changed: the
    checks before a search say so.
    """
    if fits(n_weights(request)):
        return request
    for step in range(STEPS - 1, -1, -1):
        smaller = _narrowed(request, step / STEPS)
        if fits(n_weights(smaller)):
            return smaller
    return request


def _narrowed(request: Request, share: float) -> Request:
    """Return the request with sizes that reach only this share of the way up their ranges."""
    ends = _ends(request.space, share)
    space, stage1, narrowed = request.space.narrow(ends), request.stage1, dict(ends)
    if stage1 is not None:
        ends = _ends(stage1, share)
        stage1, narrowed = stage1.narrow(ends), narrowed | ends
    return replace(request, space=space, stage1=stage1, narrowed=narrowed)


def _ends(space: SearchSpace, share: float) -> dict[str, int]:
    return {
        name: drawn.low + int((drawn.high - drawn.low) * share) // drawn.step * drawn.step
        for name, drawn in space.space.items()
        if isinstance(drawn, IntDistribution) and _is_size(name)
    }


def _is_size(name: str) -> bool:
    return _leaf(name) in SIZES


def _leaf(name: str) -> str:
    """Return a hyper-parameter's name without that of its first stage."""
    return name.rpartition("/")[2]


def size_that_fits(request: Request, fits: Callable[[int], bool]) -> tuple[str, int] | None:
    """Return a size and its largest value that fits, whether it is drawn or held fixed."""
    largest = largest_trial(request, epochs=0)
    for name in SIZES:
        if name in largest:
            few, many = 0, int(largest[name])  # the first fits or is none, the second does not fit
            while many - few > 1:
                value = (few + many) // 2
                narrow = replace(request, space=request.space.fix({name: value}))
                few, many = (value, many) if fits(n_weights(narrow)) else (few, value)
            return (name, few) if few else None
    return None


def decoupled(request: Request) -> Request:
    """Return the request with decoupled decay if coupled decay would be the larger part of a step.

    The paper's search, and a decay that the user holds fixed, stay as they are.
    """
    if request.paper or coupled_cost(request.data) <= COUPLED_COST:
        return request
    stage1 = request.stage1 and _decoupled(request.stage1, request.fix)
    return replace(request, space=_decoupled(request.space, request.fix), stage1=stage1)


def _decoupled(space: S, fix: Mapping[str, object]) -> S:
    if any(_leaf(name) == "decay" for name in fix):
        return space
    coupled = [name for name, value in space.fixed.items() if (_leaf(name), value) == COUPLED]
    return space.fix(dict.fromkeys(coupled, "decoupled"))


def as_recorded(request: Request, space: SpaceRecord, stage1: SpaceRecord | None) -> Request:
    """Return the request with sizes that end where an earlier run of the search let them end."""
    ends = _recorded_ends(request.space, space)
    first, narrowed = request.stage1, dict(ends)
    if first is not None and stage1 is not None:
        ends1 = _recorded_ends(first, stage1)
        first, narrowed = first.narrow(ends1), narrowed | ends1
    return replace(request, space=request.space.narrow(ends), stage1=first, narrowed=narrowed)


def _recorded_ends(space: SearchSpace, record: SpaceRecord) -> dict[str, int]:
    """Return the recorded ends of sizes that are lower than those of the space."""
    before = {name: distribution_of(values) for name, values in record.drawn.items()}
    return {
        name: drawn.high
        for name, drawn in before.items()
        if isinstance(drawn, IntDistribution)
        and drawn != space.space.get(name)
        and _is_part(drawn, name, space.space.get(name))
    }


def only_narrower(recorded: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Return whether recorded distributions are those of a whole space, or end at lower sizes.

    Both are JSON values (`SpaceRecord.drawn`).
    """
    return recorded.keys() == whole.keys() and all(
        drawn == whole[name] or _is_part(distribution_of(drawn), name, distribution_of(whole[name]))
        for name, drawn in recorded.items()
    )


def _is_part(drawn: BaseDistribution, name: str, whole: BaseDistribution | None) -> bool:
    """Return whether a distribution is another one that ends at a lower size."""
    if not (_is_size(name) and isinstance(drawn, IntDistribution)):
        return False
    if not isinstance(whole, IntDistribution) or drawn.high > whole.high:
        return False
    return drawn == IntDistribution(whole.low, drawn.high, log=whole.log, step=whole.step)


def coupled_cost(data: SearchData) -> float:
    """Return how many times more weights a step of Adam moves with coupled decay, in the target.

    Each of rows / `BATCH` steps moves the weights of all columns; the ratings need those of their
    own columns alone. It is the same for users' rows and for items' rows.
    """
    target = data.training.target
    return target.n_users * target.n_items / BATCH / max(1, len(target))
