"""Checks of arguments that the commands and the Python functions share."""

from collections.abc import Iterable
from numbers import Integral, Real

import torch

from darec.errors import UserError


def check_choice(option: str, value: object, known: Iterable[object]) -> None:
    """Raise `UserError` unless a value is one of the known ones."""
    choices = list(known)
    if value not in choices:
        names = ", ".join(map(str, choices))
        raise UserError(f"{option} must be one of {names}, but got {value!r}")


def check_count(option: str, value: object, optional: bool = False) -> None:
    """Raise `UserError` unless a value is a whole number of at least 1, or None if optional."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"{option} must be a whole number of at least 1, but got {value!r}")


def check_positive(option: str, value: object, optional: bool = False) -> None:
    """Raise `UserError` unless a value is a number above 0, or None if optional."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise UserError(f"{option} must be a number above 0, but got {value!r}")


def check_device(device: object, address: str | None) -> None:
    """Raise `UserError` unless a device is known and, on this machine, present."""
    check_choice("--device", device, ("cpu", "cuda"))
    if device == "cuda" and address is None and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available here; leave it out")
