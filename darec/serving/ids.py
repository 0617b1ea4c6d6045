"""The ids of users or items, and their positions in a model's tables.

Shapes: N ids asked for.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from darec.errors import UserError

Unknown = Literal["cold", "raise"]
"""Whether an id that is not in the data is predicted like a cold one, or refused."""
Positions = npt.NDArray[np.int64]


def listed(values: Any, what: str) -> list[Any]:
    """Return a sequence of a caller's as a list, whatever its index; ``what`` names it.

    Raises `UserError` for a single id, and for a table, mapping or set, which have no order of ids.
    """
    if isinstance(values, str | bytes):
        raise UserError(f"{what} must be a sequence, but got one: write [{values!r}]")
    if not isinstance(values, Iterable) or isinstance(values, Mapping | Set | pd.DataFrame):
        raise UserError(f"{what} must be a sequence, but got a {type(values).__name__}")
    return list(values)


class Ids:
    """The ids of a model's users, of its items or of its source items."""

    def __init__(self, kind: str, ids: npt.NDArray[np.object_]) -> None:
        self.kind = kind
        """``user``, ``item`` or ``source item``, for messages."""
        self.ids = ids
        self._index = pd.Index(ids)
        if not self._index.is_unique:
            raise ValueError(f"each {kind} must have one id of its own")

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: Sequence[Any], unknown: Unknown = "cold") -> Positions:
        """Return the position of each id i64[N], -1 for an unknown one.

        Raises `UserError` for an id that is no string, and for an unknown one if ``unknown`` is
        ``raise``.
        """
        if unknown not in get_args(Unknown):
            raise UserError(f"unknown must be cold or raise, but got {unknown!r}")
        for each in ids:
            if not isinstance(each, str):
                message = f"the id of each {self.kind} must be a string, but got {each!r}"
                raise UserError(f"{message}; read files with dtype=str")
        found: Positions = self._index.get_indexer(pd.Index(ids, dtype=object)).astype(np.int64)
        if unknown == "raise" and (found < 0).any():
            first = ids[int(np.flatnonzero(found < 0)[0])]
            n = int((found < 0).sum())
            raise UserError(f"{self.kind} {first!r} is not in the model's data ({n} unknown)")
        return found
