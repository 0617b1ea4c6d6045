"""Fits the sizes that a search draws to the machines: the largest trial must have room."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from optuna.distributions import IntDistribution

from darec.tuning.study.request import Request, SearchSpace, largest_trial

SIZES = ("hidden", "extractor", "factors", "rank", "meta")
"""The hyper-parameters that decide a model's number of weights."""
STEPS = 32
"""The number of steps in which a range of sizes is narrowed down to its lowest value."""


def fitted(
    request: Request,
    fits: Callable[[Request], bool],
    preferred: Callable[[Request], bool] = lambda request: True,
) -> Request:
    """Return the request with sizes that end where the largest trial fits, and is preferred.

    If there are none, the lowest sizes are taken. The checks before a search say if not even these
    fit.
    """
    for step in range(STEPS, 0, -1):
        smaller = request if step == STEPS else _narrowed(request, step / STEPS)
        if fits(smaller) and preferred(smaller):
            return smaller
    return _narrowed(request, 0.0)


def _narrowed(request: Request, share: float) -> Request:
    """Return the request with sizes that reach only this share of the way up their ranges."""
    return narrowed_to(request, ends_of_stages(request, lambda space: _ends(space, share)))


def ends_of_stages(
    request: Request, ends_of: Callable[[SearchSpace], Mapping[str, float]]
) -> dict[str, float]:
    """Return where the ranges of both stages end; those of stage 1 are named as in a joint search.

    Both stages have a ``learning_rate``, for example.
    """
    ends = dict(ends_of(request.space))
    if request.stage1 is not None:
        prefix = _prefix(request)
        ends |= {f"{prefix}{name}": end for name, end in ends_of(request.stage1).items()}
    return ends


def narrowed_to(request: Request, ends: Mapping[str, float]) -> Request:
    """Return the request with ranges that end here, those of an earlier run for example."""

    def narrow(space: SearchSpace, prefix: str = "") -> SearchSpace:
        own = {name: ends[prefix + name] for name in space.space if prefix + name in ends}
        return space.narrow(own)

    stage1 = request.stage1 and narrow(request.stage1, _prefix(request))
    narrowed = {**request.narrowed, **ends}
    return replace(request, space=narrow(request.space), stage1=stage1, narrowed=narrowed)


def _prefix(request: Request) -> str:
    """Return how the names of stage 1's hyper-parameters begin in a joint search."""
    return f"{request.kind.stage1.field}/" if request.kind.stage1 else ""


def _ends(space: SearchSpace, share: float) -> dict[str, int]:
    return {
        name: drawn.low + int((drawn.high - drawn.low) * share) // drawn.step * drawn.step
        for name, drawn in space.space.items()
        if isinstance(drawn, IntDistribution) and is_size(name) and drawn.low < drawn.high
    }


def is_size(name: str) -> bool:
    """Return whether a hyper-parameter decides the number of weights, of the first stage too."""
    return name.rpartition("/")[2] in SIZES


def size_that_fits(request: Request, fits: Callable[[Request], bool]) -> tuple[str, int] | None:
    """Return a size and its largest value that fits, whether it is drawn or held fixed."""
    largest = largest_trial(request, epochs=0)
    name = next((n for n in SIZES if isinstance(largest.get(n), int)), None)
    if name is None:
        return None
    fitting, too_large = 0, int(largest[name])
    while too_large - fitting > 1:
        value = (fitting + too_large) // 2
        smaller = replace(request, space=request.space.fix({name: value}))
        fitting, too_large = (value, too_large) if fits(smaller) else (fitting, value)
    return (name, fitting) if fitting else None
