"""Fits what a search draws to the machines and to the size of the ratings.

A pair is large if coupled decay would make Adam move mostly weights that a batch does not touch.
All pairs of Table 1 are small: their sizes end only where the machine does.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from optuna.distributions import IntDistribution

from darec.data.split import SearchData
from darec.tuning.study.request import Request, SearchSpace, largest_trial, n_weights

S = TypeVar("S", bound=SearchSpace)

SIZES = ("hidden", "extractor", "factors", "rank", "meta")
"""The hyper-parameters that decide a model's number of weights."""
STEPS = 32
"""So many steps lie between the whole range of a size and its lowest value."""
LARGE = 32.0
"""A pair is large from this `coupled_cost` on. It is below 24 on all pairs of Table 1."""
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
    if request.stage1 is not None:
        ends |= _ends(request.stage1, share)
    return narrowed_to(request, ends)


def narrowed_to(request: Request, ends: Mapping[str, int]) -> Request:
    """Return the request with sizes that end here, those of an earlier run for example."""

    def narrow(space: SearchSpace) -> SearchSpace:
        return space.narrow({name: end for name, end in ends.items() if name in space.space})

    stage1 = request.stage1 and narrow(request.stage1)
    return replace(request, space=narrow(request.space), stage1=stage1, narrowed=dict(ends))


def _ends(space: SearchSpace, share: float) -> dict[str, int]:
    return {
        name: drawn.low + int((drawn.high - drawn.low) * share) // drawn.step * drawn.step
        for name, drawn in space.space.items()
        if isinstance(drawn, IntDistribution) and _is_size(name) and drawn.low < drawn.high
    }


def _is_size(name: str) -> bool:
    return _leaf(name) in SIZES


def _leaf(name: str) -> str:
    """Return a hyper-parameter's name without that of its first stage."""
    return name.rpartition("/")[2]


def size_that_fits(request: Request, fits: Callable[[int], bool]) -> tuple[str, int] | None:
    """Return a size and its largest value that fits, whether it is drawn or held fixed."""
    largest = largest_trial(request, epochs=0)
    name = next((n for n in SIZES if isinstance(largest.get(n), int)), None)
    if name is None:
        return None
    fitting, too_large = 0, int(largest[name])
    while too_large - fitting > 1:
        value = (fitting + too_large) // 2
        smaller = replace(request, space=request.space.fix({name: value}))
        fitting, too_large = (value, too_large) if fits(n_weights(smaller)) else (fitting, value)
    return (name, fitting) if fitting else None


def decoupled(request: Request) -> Request:
    """Return the request with decoupled decay if the pair is large.

    The paper's search, and a decay that the user holds fixed, stay as they are.
    """
    if request.paper or not is_large(request.data):
        return request
    space, stage1, first = request.space, request.stage1, request.kind.stage1
    if first is not None and stage1 is not None:
        prefix, of_stage1 = f"{first.field}/", set(request.fix)
        of_stage1 -= set(space.fixed)  # a name without the prefix is the model's own if it has it
        stage1 = _decoupled(stage1, {name.removeprefix(prefix) for name in of_stage1})
    return replace(request, space=_decoupled(space, request.fix), stage1=stage1)


def _decoupled(space: S, held: Collection[str]) -> S:
    coupled = [name for name, value in space.fixed.items() if (_leaf(name), value) == COUPLED]
    return space.fix({name: "decoupled" for name in coupled if name not in held})


def is_large(data: SearchData) -> bool:
    """Return whether coupled decay would be most of the work."""
    return coupled_cost(data) > LARGE


def coupled_cost(data: SearchData) -> float:
    """Return how many times more weights a step of Adam moves with coupled decay, in the target.

    Each of rows / `BATCH` steps moves the weights of all columns; the ratings need those of their
    own columns alone. It is the same for users' rows and for items' rows.
    """
    target = data.training.target
    return target.n_users * target.n_items / BATCH / max(1, len(target))
