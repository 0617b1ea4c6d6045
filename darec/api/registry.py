"""Models and search spaces by name: darec's own, and those of the user."""

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from darec.api.names import listed, named_models
from darec.api.values import check_drawn, check_fixed
from darec.core.config import field_names
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.models import MADE, MODELS, all_models, kind_of, plugins
from darec.models.kind import ModelKind
from darec.models.levels import MOST_LEVELS, distinct
from darec.reporter import Reporter
from darec.tuning.study.request import Stages
from search_spaces import SPACES, Space, hold_fixed


def register(name: str, kind: ModelKind, space: Space) -> None:
    """Add a model of your own, so that it can be searched, evaluated and resumed by its name.

    Args:
        name: A new name; a name that you registered before is replaced.
        kind: The model's config class and constructor.
        space: What a search of it draws.

    Raises:
        UserError: The name belongs to a model of darec or is not an identifier, or the kind is
            not a `ModelKind`.

    Examples:
        >>> import darec
        >>> from darec.models.bias import BiasConfig, build_bias
        >>> darec.register("my_bias", darec.ModelKind(BiasConfig, build_bias), darec.Space({}))
        >>> "my_bias" in darec.models()
        True
    """
    if name in MODELS or name in MADE:
        raise UserError(f"{name!r} is a model of darec; choose another name")
    plugins.add(name, kind, space)


def search_space(model: str) -> Space:
    """Return what a search of a model draws and what it holds fixed.

    Args:
        model: A model's name.

    Raises:
        UserError: There is no such model, or it is not searched.

    Examples:
        >>> import darec
        >>> sorted(darec.search_space("bias").space)
        ['reg_item', 'reg_user']
    """
    kind_of(model)  # raises `UserError` for an unknown name
    if model in MADE:
        message = "it is made of finished searches (darec stack)"
        raise UserError(f"{model} is not searched: {message}")
    space: Space = {**SPACES, **plugins.SPACES}[model]
    return space


def chosen_models(model: str, cold_users: bool = False, made: bool = False) -> list[str]:
    """Return the models that ``--model`` names: some of the known ones, or all of them.

    With ``cold_users``, ``all`` means only models that can do that task. With ``made``, a stack can
    be named, too. Raises `UserError` for an unknown name, or for a model that cannot do the task.
    """
    known = {**all_models(), **(MADE if made else {})}
    names = named_models(model, known)
    if "all" in listed(model):
        return [name for name in names if known[name].cold_users or not cold_users]
    if cold_users:
        for name in names:
            check_cold_users(name)
    return names


def check_cold_users(model: str) -> None:
    """Raise `UserError` for a model that cannot take part in the cold-user task."""
    if not kind_of(model).cold_users:
        able = ", ".join(name for name, kind in all_models().items() if kind.cold_users)
        message = f"{model} cannot predict users without target ratings"
        raise UserError(f"--task cold_users: {message}; these can: {able}")


def models_for(models: Sequence[str], pair: DomainPair, reporter: Reporter) -> list[str]:
    """Return those of several models that can learn a pair's ratings; report which are left out."""
    able = [name for name in models if not _too_many_levels(name, pair)]
    if left := [name for name in models if name not in able]:
        message = f"{len(distinct(pair.target))} distinct ratings, more than {MOST_LEVELS}"
        reporter.line(f"left out: {', '.join(left)}: the target has {message}")
    return able


def check_levels(model: str, pair: DomainPair) -> None:
    """Raise `UserError` if a model has weights for each distinct rating, and there are too many."""
    if _too_many_levels(model, pair):
        message = f"has weights for each distinct rating, at most {MOST_LEVELS}"
        n = len(distinct(pair.target))
        remedy = "search another model, u_autorec for example"
        raise UserError(f"--model {model} {message}, but {pair.name} has {n}; {remedy}")


def _too_many_levels(model: str, pair: DomainPair) -> bool:
    return kind_of(model).levels and len(distinct(pair.target)) > MOST_LEVELS


def spaces_for(
    model: str,
    stages: Stages = "paper",
    fix: Mapping[str, Any] | None = None,
    space: Space | str | Path | None = None,
    paper: bool = False,
) -> tuple[Space, Space | None]:
    """Return a model's search space, and its first stage's if that is searched separately.

    With ``paper`` our additions are left out: `Space.paper` is held fixed. ``space``
    replaces the model's own (`with_space`); ``fix`` holds hyper-parameters fixed. Raises
    `UserError` for a one-stage model whose stages are to be searched jointly, for a key of ``fix``
    that does not exist, for ``paper`` with a model that has no settings of the paper, and for a
    value of ``fix`` or ``space`` that the model's config does not allow.
    """
    first, own = kind_of(model).stage1, search_space(model)
    stage1 = None if first is None else search_space(first.model)
    prefix = "" if first is None else first.field
    if paper:
        if space is not None:
            raise UserError("--paper searches the paper's ranges; it cannot go with --space")
        if not own.paper:
            known = ", ".join(name for name, each in SPACES.items() if each.paper)
            raise UserError(f"--paper must go with one of {known}, but got {model}")
        own, stage1 = own.fix(own.paper), stage1 and stage1.fix(stage1.paper)
    if space is not None:
        given = space if isinstance(space, Space) else load_space(space)
        own, stage1 = with_space(own, stage1, prefix, given)
        _check_names(kind_of(model), own, given, "")
        if first is not None and stage1 is not None:
            _check_names(kind_of(first.model), stage1, given, f"{prefix}/")
    if stages == "joint":
        if stage1 is None:
            raise UserError(f"--stages joint needs a two-stage model, but {model} has one stage")
        own, stage1 = own.joined(stage1, prefix), None
    if space is not None:
        check_drawn(kind_of(model), own, stage1)
    try:
        held = hold_fixed(own, stage1, prefix, fix or {})
    except ValueError as error:
        raise UserError(f"--fix: {model}: {error}") from error
    if fix:
        check_fixed(kind_of(model), *held, fix)
    return held


def with_space(
    own: Space, stage1: Space | None, prefix: str, given: Space
) -> tuple[Space, Space | None]:
    """Return a model's spaces with what is drawn replaced by a given space.

    What the model holds fixed stays fixed unless the given space names it. If the given space names
    hyper-parameters of the first stage (``autorec/hidden``), they replace what that draws. A given
    space that only holds hyper-parameters fixed changes nothing else.
    """
    inner, outer = (given, given) if stage1 is None else _split(given, prefix)
    if stage1 is not None:
        stage1 = _replaced(stage1, inner) if inner.space else stage1.fix(inner.fixed)
    if not outer.space:
        return own.fix(outer.fixed), stage1
    return _replaced(own, outer), stage1


def _check_names(kind: ModelKind, space: Space, given: Space, prefix: str) -> None:
    """Raise `UserError` for a hyper-parameter that the model lacks or that its name fixes."""
    known = field_names(kind.config)
    for name in space.decided:
        if given.has(prefix + name):
            raise UserError(f"--space: {prefix}{name} follows from the model's name")
    for name in [*space.space, *space.fixed]:
        if name.partition("/")[0] not in known:
            message = f"has no hyper-parameter {name!r}; it has: {', '.join(known)}"
            raise UserError(f"--space: {kind.config.__name__} {message}")


def _split(space: Space, prefix: str) -> tuple[Space, Space]:
    """Split a space into the names that begin with a prefix, which is removed, and the others."""
    start = f"{prefix}/"

    def inner(values: Mapping[str, Any]) -> dict[str, Any]:
        return {n.removeprefix(start): v for n, v in values.items() if n.startswith(start)}

    def outer(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not name.startswith(start)}

    inside, outside = (
        Space(
            part(space.space),
            part(space.fixed),
            part(space.first),
            portfolio=[values for each in space.portfolio if (values := part(each))],
        )
        for part in (inner, outer)
    )
    return inside, outside


def _replaced(own: Space, given: Space) -> Space:
    kept = {name: value for name, value in own.fixed.items() if name not in given.space}
    fixed = {**kept, **given.fixed}
    return replace(
        own, space=given.space, fixed=fixed, first=given.first, portfolio=given.portfolio
    )


def load_space(path: str | Path) -> Space:
    """Read a search space from a Python file that defines ``SPACE``, as in ``search_spaces/``.

    ``FIXED``, ``START`` and ``PORTFOLIO`` are optional. Raises `UserError` naming the file and what
    is wrong.
    """
    from optuna.distributions import BaseDistribution

    try:
        found = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        raise UserError(f"--space {path}: {type(error).__name__}: {error}") from error
    space, fixed, start = (found.get(name, {}) for name in ("SPACE", "FIXED", "START"))
    if not isinstance(space, Mapping) or not space:
        raise UserError(f"--space {path}: SPACE must be a dictionary of Optuna distributions")
    for name, values in (("FIXED", fixed), ("START", start)):
        if not isinstance(values, Mapping):
            raise UserError(f"--space {path}: {name} must be a dictionary, but got {values!r}")
    for name, distribution in space.items():
        if not isinstance(distribution, BaseDistribution):
            rule = "must be an Optuna distribution"
            raise UserError(f"--space {path}: SPACE[{name!r}] {rule}, but got {distribution!r}")
    portfolio = found.get("PORTFOLIO", ())
    if not isinstance(portfolio, Sequence) or not all(isinstance(p, Mapping) for p in portfolio):
        rule = "PORTFOLIO must be a list of dictionaries"
        raise UserError(f"--space {path}: {rule}, but got {portfolio!r}")
    return Space(space, fixed, start, portfolio=portfolio)
