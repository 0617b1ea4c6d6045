"""Search spaces by model name: add one file here and one line to `SPACES`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from search_spaces import (
    autorec,
    bias,
    cdtf,
    cf_nade,
    cmf,
    conet,
    darec,
    fm,
    fm_cdcf,
    item_knn,
    mapped_mf,
    pmf,
    rbm,
)


@dataclass(frozen=True)
class Space:
    """The hyper-parameters of a search: drawn or held fixed. ``/`` separates nested names.

    Example::

        Space({"damping": FloatDistribution(0.1, 100.0, log=True)}, first={"damping": 5.0})
    """

    space: Mapping[str, BaseDistribution]
    """The hyper-parameters that are drawn, and their distributions."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """The hyper-parameters that are held fixed, and their values."""
    first: Mapping[str, Any] = field(default_factory=dict)
    """A good guess for the first trial; it may name more hyper-parameters than are drawn."""
    joint: Mapping[str, BaseDistribution] = field(default_factory=dict)
    """More hyper-parameters of a first stage, drawn only if both stages are searched jointly."""
    joint_first: Mapping[str, Any] = field(default_factory=dict)
    """A good guess for the hyper-parameters in `joint`."""
    paper: Mapping[str, Any] = field(default_factory=dict)
    """What ``--paper`` holds fixed; empty for models that cannot be searched with ``--paper``."""
    decided: tuple[str, ...] = ("axis",)
    """Hyper-parameters that follow from the model's name. ``--fix`` may not set them."""
    portfolio: Sequence[Mapping[str, Any]] = ()
    """Good values for the trials after the first, winners of earlier searches for example."""

    @property
    def start(self) -> dict[str, Any]:
        """Return the first trial's value of everything that is drawn.

        Empty if `first` lacks any of it: then the first trial is drawn like the others.
        """
        if not self.first.keys() >= self.space.keys():
            return {}
        return {name: self.first[name] for name in self.space}

    def has(self, name: str) -> bool:
        """Return whether a hyper-parameter is drawn or held fixed here."""
        return name in self.space or name in self.fixed

    def fix(self, values: Mapping[str, Any]) -> Self:
        """Return the space with these hyper-parameters held fixed."""
        space = {name: kept for name, kept in self.space.items() if name not in values}
        return replace(self, space=space, fixed={**self.fixed, **values})

    def narrow(self, ends: Mapping[str, float]) -> Self:
        """Return the space with ranges of numbers that end here at the latest.

        The first trial and the portfolio fit in.
        """
        space, highest = dict(self.space), dict[str, float]()
        for name, end in ends.items():
            drawn = self.space[name]
            if isinstance(drawn, IntDistribution):
                high = highest[name] = min(int(end), drawn.high)
                space[name] = IntDistribution(drawn.low, high, log=drawn.log, step=drawn.step)
            else:
                assert isinstance(drawn, FloatDistribution)
                top = highest[name] = min(end, drawn.high)
                space[name] = FloatDistribution(drawn.low, top, log=drawn.log, step=drawn.step)

        def within(values: Mapping[str, Any]) -> dict[str, Any]:
            lower = {n: min(values[n], high) for n, high in highest.items() if n in values}
            return {**values, **lower}

        portfolio = tuple(map(within, self.portfolio))
        return replace(self, space=space, first=within(self.first), portfolio=portfolio)

    def joined(self, stage1: "Space", prefix: str) -> Self:
        """Return the joint space of this second stage and of its first stage.

        Both domains then share one first-stage config (``--stages joint``; ours).
        """

        def named(values: Mapping[str, Any]) -> dict[str, Any]:
            return {f"{prefix}/{name}": value for name, value in values.items()}

        return replace(
            self,
            space={**self.space, **named({**stage1.space, **stage1.joint})},
            fixed={**self.fixed, **named(stage1.fixed)},
            first={**self.first, **named({**stage1.first, **stage1.joint_first})},
            portfolio=tuple(
                {**own, **named({**stage1.joint_first, **first})}
                for own, first in zip(self.portfolio, stage1.portfolio, strict=False)
            ),
        )


def _autorec(axis: str) -> Space:
    fixed, epochs = {**autorec.FIXED, "axis": axis}, {"epochs": autorec.EPOCHS}
    return Space(autorec.SPACE, fixed, autorec.START, epochs, {"epochs": 50}, autorec.PAPER)


def _cf_nade(axis: str) -> Space:
    fixed = {**cf_nade.FIXED, "axis": axis}
    return Space(cf_nade.SPACE, fixed, cf_nade.START, paper=cf_nade.PAPER)


SPACES = {
    "mean": Space(bias.MEAN_SPACE, bias.FIXED),
    "bias": Space(bias.SPACE, bias.FIXED, bias.START),
    "shared_bias": Space(bias.SHARED_SPACE, bias.FIXED, bias.SHARED_START),
    "hierarchical_bias": Space(bias.MEAN_SPACE, bias.FIXED),
    "item_knn": Space(item_knn.SPACE, item_knn.FIXED, item_knn.START, portfolio=item_knn.PORTFOLIO),
    "pmf": Space(pmf.SPACE, pmf.FIXED, pmf.START, portfolio=pmf.PORTFOLIO),
    "cmf_unbiased": Space(cmf.SPACE, cmf.FIXED_UNBIASED, cmf.START, decided=("bias",)),
    "cmf": Space(
        cmf.CENTERED_SPACE,
        cmf.FIXED,
        cmf.START,
        decided=("bias",),
        portfolio=cmf.PORTFOLIO,
    ),
    "cdtf": Space(cdtf.SPACE, cdtf.FIXED, cdtf.START, portfolio=cdtf.PORTFOLIO),
    "fm_cdcf": Space(fm_cdcf.SPACE, fm_cdcf.FIXED, fm_cdcf.START),
    "fm": Space(fm.SPACE, fm.FIXED, fm.START),
    "emcdr": Space(
        mapped_mf.EMCDR_SPACE,
        mapped_mf.FIXED,
        mapped_mf.EMCDR_START,
        portfolio=mapped_mf.EMCDR_PORTFOLIO,
    ),
    "ptupcdr": Space(mapped_mf.PTUPCDR_SPACE, mapped_mf.FIXED, mapped_mf.PTUPCDR_START),
    "conet": Space(conet.SPACE, conet.FIXED, conet.START, portfolio=conet.PORTFOLIO),
    "u_rbm": Space(
        rbm.SPACE,
        {**rbm.FIXED, "axis": "user"},
        rbm.START,
        portfolio=rbm.USER_PORTFOLIO,
    ),
    "i_rbm": Space(rbm.SPACE, {**rbm.FIXED, "axis": "item"}, rbm.START),
    "u_cf_nade": _cf_nade("user"),
    "i_cf_nade": _cf_nade("item"),
    "u_autorec": _autorec("user"),
    "i_autorec": _autorec("item"),
    "u_darec": Space(darec.USER_SPACE, darec.FIXED_USER, darec.START, paper=darec.PAPER_USER),
    "i_darec": Space(darec.ITEM_SPACE, darec.FIXED_ITEM, darec.START, paper=darec.PAPER_ITEM),
}


def hold_fixed(
    space: Space, stage1: Space | None, prefix: str, values: Mapping[str, Any]
) -> tuple[Space, Space | None]:
    """Return both stages' spaces with some hyper-parameters held fixed.

    A key without a prefix is looked up in the model's space, then in its first stage's.
    ``prefix/KEY`` is looked up in the first stage's space.
    Raises ``ValueError`` for an unknown key and for one that the model's name decides.
    """
    for key, value in values.items():
        inner = key.removeprefix(f"{prefix}/")
        if inner in space.decided:
            raise ValueError(f"{key} follows from the model's name")
        if space.has(key):
            space = space.fix({key: value})
        elif space.has(f"{prefix}/{inner}"):
            space = space.fix({f"{prefix}/{inner}": value})
        elif stage1 is not None and stage1.has(inner):
            stage1 = stage1.fix({inner: value})
        else:
            of_stage1 = [f"{prefix}/{name}" for name in stage1.space] if stage1 else []
            known = ", ".join([*space.space, *of_stage1])
            raise ValueError(f"there is no hyper-parameter {key!r}; there are: {known}")
    return space, stage1
