"""Search spaces by model name: add one file here and one line to `SPACES`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution

from search_spaces import autorec, bias, darec


@dataclass(frozen=True)
class Space:
    """What a search draws, and what it holds fixed; ``/`` separates nested names."""

    space: Mapping[str, BaseDistribution]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the name is searched or fixed here."""
        return name in self.space or name in self.fixed

    def fix(self, values: Mapping[str, Any]) -> "Space":
        """Return the space with these hyper-parameters held fixed."""
        space = {name: kept for name, kept in self.space.items() if name not in values}
        return Space(space, {**self.fixed, **values})


def value(text: str) -> Any:
    """Read a hyper-parameter from a command line: a JSON number, or a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


SPACES = {
    "bias": Space(bias.SPACE, bias.FIXED),
    "u_autorec": Space(autorec.SPACE, {**autorec.FIXED, "axis": "user"}),
    "i_autorec": Space(autorec.SPACE, {**autorec.FIXED, "axis": "item"}),
    "u_darec": Space(darec.USER_SPACE),
    "i_darec": Space(darec.SPACE, darec.FIXED_ITEM),
}

JOINT = {
    "u_darec": Space(darec.joint(darec.USER_SPACE), {"autorec/axis": "user"}),
    "i_darec": Space(darec.joint(darec.SPACE), {"autorec/axis": "item", **darec.FIXED_ITEM}),
}
