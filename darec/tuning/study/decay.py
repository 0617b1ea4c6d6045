"""Chooses decoupled decay on large pairs, where coupled decay would be most of the work.

With coupled decay each step of Adam moves all weights, also those that a batch does not touch.
All pairs of Table 1 are small.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

from darec.data.split import SearchData
from darec.tuning.study.request import Request, SearchSpace

S = TypeVar("S", bound=SearchSpace)

LARGE = 32.0
"""A pair is large from this `coupled_cost` on. It is below 24 on all pairs of Table 1."""
BATCH = 128
"""A typical number of rows in a batch."""


def decoupled(request: Request) -> Request:
    """Return the request with decoupled decay if the pair is large.

    The paper's search, and a decay that the user holds fixed, stay as they are.
    """
    if request.paper or not is_large(request.data):
        return request
    space, stage1, first = request.space, request.stage1, request.kind.stage1
    if first is not None and stage1 is not None:
        prefix, of_stage1 = f"{first.field}/", set(request.fix)
        of_stage1 -= set(space.fixed)  # these names are the model's own, not stage 1's
        stage1 = _decoupled(stage1, {name.removeprefix(prefix) for name in of_stage1})
    return replace(request, space=_decoupled(space, request.fix), stage1=stage1)


def _decoupled(space: S, held: Collection[str]) -> S:
    """Return a space whose decay, of the first stage too, is decoupled unless the user holds it."""
    decays = [name for name in space.fixed if name.rpartition("/")[2] == "decay"]
    coupled = [name for name in decays if space.fixed[name] == "coupled" and name not in held]
    return space.fix(dict.fromkeys(coupled, "decoupled"))


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
