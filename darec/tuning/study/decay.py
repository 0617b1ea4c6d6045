"""Chooses decoupled decay on large pairs, where coupled decay would be most of the work.

Ranges end where decoupled decay would diverge.

With coupled decay each step of Adam moves all weights, also those that a batch does not touch.
All pairs of Table 1 are small.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

from optuna.distributions import FloatDistribution

from darec.core.adam import MOST_DECAY
from darec.data.split import SearchData
from darec.errors import UserError
from darec.tuning.study.request import Request, SearchSpace
from darec.tuning.study.sizes import ends_of_stages, narrowed_to

S = TypeVar("S", bound=SearchSpace)

LARGE = 32.0
"""A pair is large from this `coupled_cost` on. It is below 24 on all pairs of Table 1."""
BATCH = 128
"""A typical number of rows in a batch."""
FACTORS = {"decay": ("alpha", "lambda_"), "decay_kind": ("decay",)}
"""The hyper-parameters that say which kind of decay it is, and for each the weights of R beside it
(Eq. 2, 3 and 7). CF-NADE calls its weight ``decay``."""


def with_stable_decay(request: Request) -> Request:
    """Return the request with decoupled decay if the pair is large, and ranges that train with it.

    The paper's search, and a decay that the user holds fixed, stay as they are. Where decay is
    decoupled, ranges end earlier so that no trial diverges by it (`shrink_factor`). Raises
    `UserError` if the user holds fixed what must diverge.
    """
    space, stage1, first = request.space, request.stage1, request.kind.stage1
    if not request.paper and is_large(request.data):
        if first is not None and stage1 is not None:
            prefix, of_stage1 = f"{first.field}/", set(request.fix)
            of_stage1 -= set(space.fixed)  # these names are the model's own, not stage 1's
            stage1 = decoupled(stage1, {name.removeprefix(prefix) for name in of_stage1})
        space = decoupled(space, request.fix)
    request = replace(request, space=space, stage1=stage1)
    return narrowed_to(request, ends_of_stages(request, _stable_ends))


def decoupled(space: S, held: Collection[str] = ()) -> S:
    """Return a space whose decay, of the first stage too, is decoupled unless the user holds it."""
    coupled = [name for name, value in _decays(space) if value == "coupled" and name not in held]
    return space.fix(dict.fromkeys(coupled, "decoupled"))


def _stable_ends(space: SearchSpace) -> dict[str, float]:
    """Return where ranges end so that decoupled decay diverges in no trial, of stage 1 too."""
    ends: dict[str, float] = {}
    for decay, value in _decays(space):
        kind = decay.rpartition("/")[2]
        prefix = decay.removesuffix(kind)
        factors = [f"{prefix}{name}" for name in FACTORS[kind]]
        for factor in [name for name in factors if name in {*space.space, *space.fixed}]:
            if value == "decoupled":
                ends |= _ends_of(space, factor, f"{prefix}learning_rate", decay)
    return ends


def _ends_of(space: SearchSpace, factor: str, rate: str, kind: str) -> dict[str, float]:
    """Return where the ranges end of which the product must be at most `MOST_DECAY`.

    The range of the factor of R ends earlier. If the factor is held fixed, or its range would be
    empty, the range of the learning rate ends earlier instead.
    """
    low, high = ({name: _range(space, name)[end] for name in (factor, rate)} for end in (0, 1))
    if low[factor] * low[rate] > MOST_DECAY:
        raise UserError(
            f"--fix: with decoupled decay, {factor} ({low[factor]:g} or more) times {rate} "
            f"({low[rate]:g} or more) must be at most {MOST_DECAY:g}. Large pairs have it by "
            f"default; --fix {kind}=coupled is the paper's"
        )
    ends: dict[str, float] = {}
    for name, other in ((factor, rate), (rate, factor)):
        if name in space.space and high[name] * high[other] > MOST_DECAY:
            # a little less, because of rounding
            ends[name] = high[name] = max(low[name], (1 - 1e-9) * MOST_DECAY / high[other])
    return ends


def _range(space: SearchSpace, name: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a hyper-parameter."""
    if name in space.fixed:
        return float(space.fixed[name]), float(space.fixed[name])
    drawn = space.space[name]
    assert isinstance(drawn, FloatDistribution)
    return drawn.low, drawn.high


def _decays(space: SearchSpace) -> list[tuple[str, str]]:
    """Return the names and the values of the kinds of decay that are held fixed."""
    return [
        (name, value)
        for name, value in space.fixed.items()
        if name.rpartition("/")[2] in FACTORS and isinstance(value, str)
    ]


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
