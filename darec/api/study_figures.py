"""The figures of a study's page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator, NullLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution

from darec.page.picture import INK, ITEM, OTHER, USER, Draw

Curve = tuple[Sequence[float], Sequence[float]]
"""Epochs and validation errors of a trial."""
GOOD_TO_BAD = LinearSegmentedColormap.from_list("good to bad", [ITEM, "#9aa3ad"])
ROOM = 1.5
"""Error axes extend this many times the span from the best error to the largest baseline or the
third quartile, whichever is higher."""


def history(
    numbers: Sequence[int], errors: Sequence[float], baselines: Mapping[str, float]
) -> Draw:
    """Draw the error of each trial by its number, the best so far, and the baselines."""

    def draw(axes: Axes) -> None:
        axes.plot(numbers, errors, "o", color=OTHER, ms=3, label="a trial's best epoch")
        axes.step(
            numbers, np.minimum.accumulate(errors), where="post", color=ITEM, label="best so far"
        )
        _baselines(axes, baselines)
        _limit(axes, errors, baselines)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel("validation RMSE")
        axes.legend(fontsize=7)

    return draw


def curves(
    found: Mapping[str, Curve], rungs: Sequence[int], baselines: Mapping[str, float]
) -> Draw:
    """Draw the learning curves of the best trials, the winner in colour, and the rungs."""

    def draw(axes: Axes) -> None:
        for rung in rungs:
            axes.axvline(rung, color=OTHER, lw=0.5, ls="--")
        for n, (name, (epochs, errors)) in reversed(list(enumerate(found.items()))):
            style: dict[str, Any] = {"color": OTHER, "lw": 0.8}
            if n == 0:
                style = {"color": ITEM, "lw": 2.0, "label": f"trial {name}, the winner"}
            axes.plot(epochs, errors, marker="o", ms=2, **style)
        _baselines(axes, baselines)
        _limit(axes, [error for _, errors in found.values() for error in errors], baselines)
        axes.set_xlabel("epoch" + (" (dashed: where trials are compared)" if rungs else ""))
        axes.set_ylabel("validation RMSE")
        axes.legend(fontsize=7)

    return draw


def bars(shares: Mapping[str, float], meaning: str) -> Draw:
    """Draw shares as bars, the first one at the top; ``meaning`` is the name of the axis."""

    def draw(axes: Axes) -> None:
        names = list(shares)[::-1]
        axes.barh(names, [shares[name] for name in names], color=USER)
        axes.set_xlabel(meaning)

    return draw


def slice_of(
    name: str,
    distribution: BaseDistribution,
    values: Sequence[Any],
    errors: Sequence[float],
    paper: tuple[float, float] | None,
) -> Draw:
    """Draw errors against one hyper-parameter; the paper's range is shaded, the winner filled."""

    def draw(axes: Axes) -> None:
        at: Sequence[Any] = values
        if isinstance(distribution, CategoricalDistribution):
            choices = [str(choice) for choice in distribution.choices]
            at = [choices.index(str(value)) for value in values]
            axes.set_xticks(range(len(choices)), choices)
        else:
            _range(axes, distribution)
        if paper is not None:
            axes.axvspan(*paper, color=USER, alpha=0.08, lw=0, label="the paper's range")
            axes.legend(fontsize=7)
        axes.plot(at[1:], errors[1:], "o", fillstyle="none", color=OTHER, ms=4)
        axes.plot(at[0], errors[0], "o", color=ITEM)
        _limit(axes, errors, {})
        axes.set_xlabel(name)
        axes.set_ylabel("validation RMSE")

    return draw


def parallel(places: Mapping[str, Sequence[float]]) -> Draw:
    """Draw each trial as a line over its hyper-parameters' places; bad trials are grey."""

    def draw(axes: Axes) -> None:
        names, lines = list(places), np.array(list(places.values())).T
        for n in reversed(range(len(lines))):
            shade = GOOD_TO_BAD(math.sqrt(n / max(1, len(lines) - 1)))
            axes.plot(range(len(names)), lines[n], color=shade, lw=2.0 if n == 0 else 0.7)
        axes.set_xticks(range(len(names)), names, rotation=25, ha="right")
        axes.set_yticks([0, 0.5, 1], ["low, first", "middle", "high, last"])

    return draw


def _range(axes: Axes, distribution: Any) -> None:
    """Let the axis be the range that was searched, with three ticks."""
    low, high, log = distribution.low, distribution.high, distribution.log
    ticks = np.geomspace(low, high, 3) if log else np.linspace(low, high, 3)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])


def _baselines(axes: Axes, baselines: Mapping[str, float]) -> None:
    for (name, error), dashes in zip(baselines.items(), (":", "--"), strict=False):
        axes.axhline(error, color=INK, lw=0.8, ls=dashes, label=f"{name} {error:.4f}")


def _limit(axes: Axes, errors: Sequence[float], baselines: Mapping[str, float]) -> None:
    """Leave out errors far above what matters, so that the others can be told apart."""
    finite = [error for error in errors if math.isfinite(error)]
    if not finite:
        return
    best = min([*finite, *baselines.values()])
    worst = max([float(np.quantile(finite, 0.75)), *baselines.values()])
    span = max(worst - best, 1e-4)
    axes.set_ylim(best - 0.1 * span, best + ROOM * span)
