"""How many items are asked for."""

from typing import Any

import numpy as np

from darec.errors import UserError


def check_n(n: Any) -> None:
    """Raise `UserError` unless n is a positive whole number."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise UserError(f"n must be a positive whole number, but got {n!r}")
