"""Chooses decoupled decay on large pairs, where coupled decay would be most of the work.

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

S = TypeVar("S", bound=SearchSpace)

LARGE = 32.0
"""A pair is large from this `coupled_cost` on. It is below 24 on all pairs of Table 1."""
BATCH = 128
"""A typical number of rows in a batch."""
WEIGHTS = ("alpha", "lambda_")
"""The weights of R, the sum of all squared weights."""


def decoupled(request: Request) -> Request:
    """Return the request with decoupled decay if the pair is large.

    The paper's search, and a decay that the user holds fixed, stay as they are. Where decay is
    decoupled, the weight of R is narrowed so that no trial diverges by it (`shrink_factor`).
    Raises `UserError` if the user holds fixed what diverges.
    """
    space, stage1, first = request.space, request.stage1, request.kind.stage1
    if not request.paper and is_large(request.data):
        if first is not None and stage1 is not None:
            prefix, of_stage1 = f"{first.field}/", set(request.fix)
            of_stage1 -= set(space.fixed)  # these names are the model's own, not stage 1's
            stage1 = _decoupled(stage1, {name.removeprefix(prefix) for name in of_stage1})
        space = _decoupled(space, request.fix)
    return replace(request, space=_stable(space), stage1=stage1 and _stable(stage1))


def _decoupled(space: S, held: Collection[str]) -> S:
    """Return a space whose decay, of the first stage too, is decoupled unless the user holds it."""
    coupled = [name for name, value in _decays(space) if value == "coupled" and name not in held]
    return space.fix(dict.fromkeys(coupled, "decoupled"))


def _stable(space: S) -> S:
    """Return a space in which decoupled decay diverges in no trial, of the first stage too."""
    for decay, value in _decays(space):
        prefix = decay.removesuffix("decay")
        rate, weights = f"{prefix}learning_rate", [f"{prefix}{name}" for name in WEIGHTS]
        for weight in (name for name in weights if name in {*space.space, *space.fixed}):
            if value == "decoupled":
                space = _with_product(space, weight, rate)
    return space


def _with_product(space: S, weight: str, rate: str) -> S:
    """Return a space in which the weight of R times the learning rate is at most `MOST_DECAY`.

    The range of the weight ends earlier. If that cannot be, the range of the learning rate does.
    """
    least = {name: _ends(space, name)[0] for name in (weight, rate)}
    if least[weight] * least[rate] > MOST_DECAY:
        got = " and ".join(f"{name}={value:g}" for name, value in least.items())
        rule = f"with decoupled decay {weight} times {rate} must be at most {MOST_DECAY:g}"
        raise UserError(f"--fix: {rule}, but got {got} at least")
    for name, other in ((weight, rate), (rate, weight)):
        most = MOST_DECAY / _ends(space, other)[1]
        if name in space.space and most < _ends(space, name)[1]:
            space = space.narrow({name: max(most, least[name])})
    return space


def _ends(space: SearchSpace, name: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a hyper-parameter."""
    if name in space.fixed:
        return float(space.fixed[name]), float(space.fixed[name])
    drawn = space.space[name]
    assert isinstance(drawn, FloatDistribution)
    return drawn.low, drawn.high


def _decays(space: SearchSpace) -> list[tuple[str, str]]:
    """Return the names and the values of the kinds of decay that are held fixed."""
    fixed = space.fixed.items()
    return [(name, str(value)) for name, value in fixed if name.rpartition("/")[2] == "decay"]


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
