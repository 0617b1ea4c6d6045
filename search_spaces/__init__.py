"""Search spaces by model name: add one file here and one line to `SPACES`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from optuna.distributions import BaseDistribution

from search_spaces import autorec, bias, cdtf, cf_nade, cmf, conet, darec, fm_cdcf, pmf, rbm


@dataclass(frozen=True)
class Space:
    """What a search draws, and what it holds fixed; ``/`` separates nested names."""

    space: Mapping[str, BaseDistribution]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    """Where a search starts: values of its first trial, of searched hyper-parameters or others."""

    @property
    def start(self) -> dict[str, Any]:
        """Return the first trial's values of all that is searched; empty: it is drawn."""
        if not self.first.keys() >= self.space.keys():
            return {}
        return {name: self.first[name] for name in self.space}

    def has(self, name: str) -> bool:
        """Whether the name is searched or fixed here."""
        return name in self.space or name in self.fixed

    def fix(self, values: Mapping[str, Any]) -> Self:
        """Return the space with these hyper-parameters held fixed."""
        space = {name: kept for name, kept in self.space.items() if name not in values}
        return replace(self, space=space, fixed={**self.fixed, **values})


def value(text: str) -> Any:
    """Read a hyper-parameter from a command line: a JSON number, or a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


SPACES = {
    "mean": Space(bias.MEAN_SPACE, bias.FIXED),
    "bias": Space(bias.SPACE, bias.FIXED),
    "shared_bias": Space(bias.SHARED_SPACE, bias.FIXED),
    "pmf": Space(pmf.SPACE, pmf.FIXED, pmf.START),
    "cmf_unbiased": Space(cmf.SPACE, cmf.FIXED_UNBIASED, cmf.START),
    "cmf": Space(cmf.SPACE, cmf.FIXED, cmf.START),
    "cdtf": Space(cdtf.SPACE, cdtf.FIXED, cdtf.START),
    "fm_cdcf": Space(fm_cdcf.SPACE, fm_cdcf.FIXED, fm_cdcf.START),
    "conet": Space(conet.SPACE, conet.FIXED, conet.START),
    "u_rbm": Space(rbm.SPACE, {**rbm.FIXED, "axis": "user"}, rbm.START),
    "i_rbm": Space(rbm.SPACE, {**rbm.FIXED, "axis": "item"}, rbm.START),
    "u_cf_nade": Space(cf_nade.SPACE, {**cf_nade.FIXED, "axis": "user"}, cf_nade.START),
    "i_cf_nade": Space(cf_nade.SPACE, {**cf_nade.FIXED, "axis": "item"}, cf_nade.START),
    "u_autorec": Space(autorec.SPACE, {**autorec.FIXED, "axis": "user"}, autorec.START),
    "i_autorec": Space(autorec.SPACE, {**autorec.FIXED, "axis": "item"}, autorec.START),
    "u_darec": Space(darec.USER_SPACE, darec.FIXED_USER, darec.START),
    "i_darec": Space(darec.ITEM_SPACE, darec.FIXED_ITEM, darec.START),
}


DECIDED = {"cmf": ("bias",), "cmf_unbiased": ("bias",)}
"""Hyper-parameters that a model's name decides; elsewhere the axis."""


def _joint(space: Space, axis: str) -> Space:
    """Return stage 2's space with stage 1's beside it, for ``--stages joint`` (ours, after Fig. 2).

    Both domains then share one AutoRec config; its epochs are searched, too.
    """
    stage1 = {**autorec.SPACE, "epochs": autorec.EPOCHS}
    drawn = {f"autorec/{name}": distribution for name, distribution in stage1.items()}
    fixed = {f"autorec/{name}": held for name, held in {**autorec.FIXED, "axis": axis}.items()}
    start = {**autorec.START, "epochs": 50}
    first = {f"autorec/{name}": chosen for name, chosen in start.items()}
    return Space({**space.space, **drawn}, {**space.fixed, **fixed}, {**space.first, **first})


JOINT = {"u_darec": _joint(SPACES["u_darec"], "user"), "i_darec": _joint(SPACES["i_darec"], "item")}


def narrowed(
    model: str, stage1_model: str | None, joint: bool, fix: list[str]
) -> tuple[Space, Space | None]:
    """Return a model's space and its stage 1's, with ``KEY=VALUE`` hyper-parameters held fixed.

    A bare key is the model's own, else stage 1's; ``autorec/KEY`` is stage 1's. With ``joint``
    there is one space. Raises ``ValueError`` for a malformed or unknown key.
    """
    space = JOINT[model] if joint else SPACES[model]
    stage1 = None if joint or stage1_model is None else SPACES[stage1_model]
    for text in fix:
        key, equals, word = text.partition("=")
        inner = key.removeprefix("autorec/")
        if not equals:
            raise ValueError(f"must be KEY=VALUE, but got {text!r}")
        if inner in DECIDED.get(model, ("axis",)):
            raise ValueError(f"{key} follows from the model's name, {model}")
        if space.has(key):
            space = space.fix({key: value(word)})
        elif space.has(f"autorec/{inner}"):
            space = space.fix({f"autorec/{inner}": value(word)})
        elif stage1 is not None and stage1.has(inner):
            stage1 = stage1.fix({inner: value(word)})
        else:
            stage1_names = [f"autorec/{name}" for name in stage1.space] if stage1 else []
            known = ", ".join([*space.space, *stage1_names])
            raise ValueError(f"{model} has no hyper-parameter {key!r}; it has: {known}")
    return space, stage1
