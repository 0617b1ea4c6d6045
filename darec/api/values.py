"""Checks that a model's config allows every value that a search holds fixed or may draw."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution

from darec.core.config import parse
from darec.errors import UserError
from darec.models.kind import ModelKind
from darec.tuning.study.identity import may_draw
from darec.tuning.study.request import middle, whole_config
from darec.tuning.trial.names import flatten
from search_spaces import Space


def check_fixed(kind: ModelKind, own: Space, stage1: Space | None, fix: Mapping[str, Any]) -> None:
    """Raise `UserError` for a value of ``--fix`` that the config of the model does not allow.

    ``own`` and ``stage1`` are the spaces in which it is held fixed.
    """
    for name, value in fix.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            rule = "must be a finite number or another JSON value"
            raise UserError(f"--fix: {name} {rule}, but got {value!r}") from error
        if not flatten({name: value}):
            raise UserError(f"--fix: {name} must have a value, but got {value!r}")
    _check("--fix", kind, own, stage1)


def check_drawn(kind: ModelKind, own: Space, stage1: Space | None) -> None:
    """Raise `UserError` for a value of ``--space`` that the config of the model does not allow.

    It tries the ends of every range, and every choice, with all other values in the middle. The
    first trial's values, and those of the portfolio, must be ones that can be drawn. Each entry of
    the portfolio must have a value of everything that is drawn.
    """
    _check("--space", kind, own, stage1)
    for name, value in _extremes(own):
        _check("--space", kind, own.fix({name: value}), stage1)
    for name, value in _extremes(stage1) if stage1 else ():
        _check("--space", kind, own, stage1.fix({name: value}) if stage1 else None)
    for space in filter(None, (own, stage1)):
        _check_start("the first trial", space, space.start)
        for n, start in enumerate(space.portfolio):
            if absent := [name for name in space.space if name not in start]:
                raise UserError(f"--space: PORTFOLIO[{n}] must have {absent[0]}, but got {start!r}")
            _check_start(f"PORTFOLIO[{n}]", space, start)


def _check_start(what: str, space: Space, start: Mapping[str, Any]) -> None:
    for name, value in start.items():
        if name not in {*space.space, *space.fixed}:
            known = ", ".join(space.space)
            raise UserError(f"--space: {what} must have values of {known}, but got {name!r}")
        if name in space.space and not may_draw(space.space[name], value):
            message = f"{name} of {what} must be in {space.space[name]}"
            raise UserError(f"--space: {message}, but got {value!r}")


def _check(option: str, kind: ModelKind, own: Space, stage1: Space | None) -> None:
    """Raise `UserError`, naming the option, unless the middle of the spaces is a config."""
    try:
        parse(kind.config, whole_config(kind, own, stage1, middle))
    except ValueError as error:
        raise UserError(f"{option}: {error}") from error


def _extremes(space: Space) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of both ends of every range, and of every choice."""
    for name, distribution in space.space.items():
        for value in _ends(distribution):
            yield name, value


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    if hasattr(distribution, "choices"):
        return tuple(distribution.choices)
    return distribution.low, distribution.high  # type: ignore[attr-defined]  # of all ranges
