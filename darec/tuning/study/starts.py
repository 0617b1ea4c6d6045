"""Which configurations a study tries before the sampler draws any."""

from typing import Any, NamedTuple

from darec.tuning.study.identity import may_draw
from darec.tuning.study.request import Request, SearchSpace

KNOWN_SHARE = 1 / 3
"""The largest share of the trials that are known configurations."""


class Known(NamedTuple):
    """Known configurations: values of everything that is drawn."""

    winners: list[dict[str, Any]]
    """Winners of the user's earlier searches. They are the first trials, before the good guess."""
    portfolio: list[dict[str, Any]]
    """Those of the space's portfolio. They come after the good guess."""


def known_trials(request: Request, model: str, space: SearchSpace, trials: int) -> Known:
    """Return the known configurations that this space can draw, each once.

    At most a third of the trials are known ones; of two trials, one may be. The good guess does not
    count.
    """
    room = min(max(1, int(KNOWN_SHARE * trials)), trials - 1)
    taken, found = [dict(space.start)], Known([], [])
    portfolio = getattr(space, "portfolio", ())  # a space of a plugin may lack it
    for own, configs in zip(found, (request.winners.get(model, ()), portfolio), strict=True):
        for config in configs:
            drawn = {name: config.get(name) for name in space.space}
            possible = all(may_draw(each, drawn[name]) for name, each in space.space.items())
            if possible and drawn and drawn not in taken and len(taken) <= room:
                taken.append(drawn)
                own.append(drawn)
    return found
