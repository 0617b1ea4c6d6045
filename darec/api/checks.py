"""Checks of arguments that the commands and the Python functions share."""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Literal, TypeGuard, get_args

from darec.data.holdout import ColdPercent, Holdout, SplitKind, TrainPercent
from darec.data.scale import Scale
from darec.errors import UserError

Task = Literal["warm", "cold_users"]
"""What is predicted: held-out ratings of known users, or all target ratings of unknown ones."""
SMALLEST_SHARE = 0.0001
"""The smallest part of a CPU or GPU that Ray counts."""
COLD_SHARE: ColdPercent = 20
"""Percent of the users who are test users of the cold-user task by default."""


def check_choice(option: str, value: object, known: Iterable[object]) -> None:
    """Raise `UserError` unless a value is one of the known ones."""
    choices = list(known)
    if value not in choices:
        names = ", ".join(map(str, choices))
        raise UserError(f"{option} must be one of {names}, but got {value!r}")


def holdout_of(
    train: TrainPercent = 90,
    task: Task = "warm",
    cold_share: ColdPercent = COLD_SHARE,
    split: SplitKind = "random",
) -> Holdout:
    """Return what these options hold out.

    Raises `UserError` for an unknown value, and for an option that does not apply to the task or
    split.
    """
    for option, value, known in (
        ("--task", task, get_args(Task)),
        ("--cold-share", cold_share, get_args(ColdPercent)),
        ("--train", train, get_args(TrainPercent)),
        ("--split", split, get_args(SplitKind)),
    ):
        check_choice(option, value, known)
    if task == "warm":
        if cold_share != COLD_SHARE:
            raise UserError(f"--cold-share {cold_share} needs --task cold_users")
        if split == "file" and train != 90:
            raise UserError(f"--train {train}: with --split file the pair's split file decides")
        return Holdout(train, None, split)
    if split != "random":
        message = "which holds out random users"
        raise UserError(f"--split {split} needs --task warm, but got --task cold_users, {message}")
    if train != 90:
        message = "holds out users by --cold-share, and 10 % of the source's ratings"
        raise UserError(f"--train {train} needs --task warm; --task cold_users {message}")
    return Holdout(cold_users=cold_share)


def check_count(option: str, value: object, optional: bool = False) -> None:
    """Raise `UserError` unless a value is a whole number of at least 1, or None if optional."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"{option} must be a whole number of at least 1, but got {value!r}")


def check_positive(option: str, value: object, optional: bool = False) -> None:
    """Raise `UserError` unless a value is a number above 0 or infinity, or None if optional."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise UserError(f"{option} must be a number above 0, but got {value!r}")


def check_cpus(option: str, value: object) -> None:
    """Raise `UserError` unless Ray can give this many CPUs to a process."""
    if not _is_share(value):
        rule = f"must be a finite number of at least {SMALLEST_SHARE}"
        raise UserError(f"{option} {rule}, but got {value!r}")


def check_gpus(option: str, value: object) -> None:
    """Raise `UserError` unless Ray can give this many GPUs to a process; None: darec decides."""
    if value is None or value == 0 or (_is_share(value) and (value < 1 or value == int(value))):
        return
    rule = f"must be 0, a share from {SMALLEST_SHARE} to 1, or a whole number"
    raise UserError(f"{option} {rule}, but got {value!r}")


def _is_share(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return SMALLEST_SHARE <= float(value) < math.inf


def checked_scale(option: str, value: object) -> Scale | None:
    """Return a scale that is given as its lowest and highest rating, if any; raises `UserError`."""
    if value is None or isinstance(value, Scale):
        return value
    try:
        low, high = (float(end) for end in value)  # type: ignore[attr-defined]
        return Scale(low, high)
    except (TypeError, ValueError) as error:
        rule = "must be LOW,HIGH, two finite numbers of which the first is smaller"
        raise UserError(f"{option} {rule}, but got {value!r}") from error


def check_finite(option: str, value: object) -> None:
    """Raise `UserError` unless a value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise UserError(f"{option} must be a finite number, but got {value!r}")


def check_device(device: object, address: str | None) -> None:
    """Raise `UserError` unless a device is known and, on this machine, present."""
    check_choice("--device", device, ("cpu", "cuda"))
    if device == "cuda" and address is None and not _has_gpu():
        raise UserError("--device cuda: no CUDA device is available here; leave it out")


def _has_gpu() -> bool:
    import torch  # takes seconds, and most commands do not ask

    return torch.cuda.is_available()
