"""Finished studies are used again only if they answer what is asked now.

Each ``best.json`` says what was asked of its study (`Identity`). Other code is no reason to refuse
a finished study, because most changes of code change no result and a study may have taken hours:
it is used with a warning, and the winner's ``code`` names both.
"""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from darec.errors import UserError
from darec.files import digest_of
from darec.models.best import (
    REMEDY,
    Best,
    Domain,
    Identity,
    SpaceRecord,
    distribution_of,
    read_best,
)
from darec.tuning.study.record import Record, difference, load_study
from darec.tuning.study.request import Request
from darec.tuning.trial.names import flatten


def identity_of(
    search: Request | Record, model: str, space: SpaceRecord, domain: Domain, trials: int
) -> Identity:
    """Return what a search asks of one of its studies."""
    return Identity(
        model=model,
        pair=search.pair,
        train=search.train,
        cold_users=search.cold_users,
        split=search.split,
        seed=search.seed,
        data_digest=search.data_digest,
        sampler=search.sampler,
        scheduler=search.scheduler,
        space=space,
        domain=domain,
        trials_asked=trials,
        max_epochs=search.budget.max_epochs,
        time_budget=search.budget.time_budget,
        stop_when_flat=search.stop_when_flat,
        metric=search.metric,
    )


def finished_study(folder: Path, place: str, asked: Identity) -> Best:
    """Return the winner of a finished study; ``place`` is its folder as the user names it.

    Raises `UserError` if its files are malformed or damaged, or something else was asked of it.
    """
    best = read_best(folder, place)
    _check(best, asked, place)
    named = f"{place}/best.safetensors"
    try:
        digest = digest_of(folder / "best.safetensors")
    except OSError as error:
        raise UserError(f"{named}: cannot be read: {error.strerror}; {REMEDY}") from error
    if digest != best.weights_digest:
        message = f"its SHA-256 is {digest}, but best.json names {best.weights_digest}"
        raise UserError(f"{named}: {message}; {REMEDY}")
    return best


def load_best(folder: Path, place: str | None = None) -> Best:
    """Read ``best.json`` of a search; ``place`` is its folder as the user names it, if another.

    Raises `UserError` if it is absent or malformed, or is not the winner of the search that
    ``study.json`` beside it records. The weights are not read.
    """
    best, record = read_best(folder, place), load_study(folder, place)
    # A second stage also holds its first stages' winners fixed, which the record cannot know.
    space = replace(record.space, fixed={**best.space.fixed, **record.space.fixed})
    asked = identity_of(record, record.model, space, "target", record.budget.trials)
    _check(best, asked, place or str(folder))
    return best


def impossible(config: dict[str, Any], space: SpaceRecord) -> str:
    """Return why a study cannot have found a config in its space, or nothing if it can."""
    values = flatten(json.loads(json.dumps(config)))  # lists for tuples, as in the space
    for name, fixed in flatten(space.fixed).items():
        if values.get(name) != fixed:
            return f"{name} is {values.get(name)}, but the search holds it fixed at {fixed}"
    for name, drawn in space.drawn.items():
        if not may_draw(distribution_of(drawn), values.get(name)):
            return f"{name} is {values.get(name)}, which the search never draws"
    return ""


def _check(best: Best, asked: Identity, place: str) -> None:
    """Raise `UserError` if something else was asked of a study, or its config is impossible."""
    values = asdict(best)
    there = {field.name: values[field.name] for field in fields(Identity)}
    if found := difference(there, asdict(asked)):
        name, value, wanted = found
        message = f"{name} is {value}, but the search asks for {wanted}"
        raise UserError(f"{place}/best.json: {message}; {REMEDY}")
    if message := impossible(best.config, best.space):
        raise UserError(f"{place}/best.json: config: {message}; {REMEDY}")


def may_draw(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value may be drawn."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    low, high = (getattr(distribution, end) for end in ("low", "high"))
    return isinstance(value, int | float) and bool(low <= value <= high)
