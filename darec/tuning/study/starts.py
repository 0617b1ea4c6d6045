"""Which configurations a study tries before the sampler draws any."""

from typing import Any

from darec.tuning.study.identity import may_draw
from darec.tuning.study.request import Request, SearchSpace

KNOWN_SHARE = 1 / 3
"""The largest share of the trials that are known configurations."""


def after_the_first(
    request: Request, model: str, space: SearchSpace, trials: int
) -> list[dict[str, Any]]:
    """Return the values of the trials after the first, where this space can draw them, each once.

    They are winners of the user's earlier searches, then those of the space's portfolio. They are
    one of two or three trials, and a third of more.
    """
    found: list[dict[str, Any]] = []
    portfolio = getattr(space, "portfolio", ())  # a space of a plugin may lack it
    for config in (*request.winners.get(model, ()), *portfolio):
        drawn = {name: config.get(name) for name in space.space}
        possible = all(may_draw(each, drawn[name]) for name, each in space.space.items())
        if possible and drawn and drawn not in [dict(space.start), *found]:
            found.append(drawn)
    return found[: min(max(1, int(KNOWN_SHARE * trials)), trials - 1)]
