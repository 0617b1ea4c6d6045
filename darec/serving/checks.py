"""Checks of what a caller asks of a loaded model."""

from typing import Any

import numpy as np

from darec.errors import UserError


def check_n(n: Any) -> None:
    """Raise `UserError` unless n is a positive whole number."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise UserError(f"n must be a positive whole number, but got {n!r}")


def check_lower_bound(lower_bound: Any) -> None:
    """Raise `UserError` unless a number of standard deviations is finite and not negative."""
    is_number = isinstance(lower_bound, int | float | np.number)
    if isinstance(lower_bound, bool) or not is_number or not 0 <= lower_bound < np.inf:
        rule = "lower_bound must be a finite number of standard deviations, at least 0"
        raise UserError(f"{rule}, but got {lower_bound!r}")


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise `UserError` unless a value is one of the known ones."""
    if value not in known:
        raise UserError(f"{name} must be {' or '.join(known)}, but got {value!r}")
