"""The report's figures as SVG and PNG; the same numbers give the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darec.core.cold import ColdPolicy
from darec.files import write
from darec.page import picture as pages
from darec.page.picture import FLOOR, INK, ITEM, OTHER, USER, Draw, Picture
from darec.report.analysis.effects import ColdItemLevels
from darec.report.analysis.numbers import Entry
from darec.report.matrix.cells import BIASES


def picture(
    folder: Path,
    name: str,
    caption: str,
    alt: str,
    panels: Mapping[str, Draw],
    inches: float = 3.6,
    high: float = 3.2,
) -> Picture:
    """Draw panels side by side, by title, of this size; write ``name``.svg and ``name``.png."""

    def save(figure: Figure, svg: str) -> None:
        write(folder / f"{name}.svg", lambda path: path.write_text(svg))
        png: dict[str, Any] = {"dpi": 150, "format": "png", "metadata": {"Software": None}}
        write(folder / f"{name}.png", lambda path: figure.savefig(path, **png))

    return pages.picture(name, caption, alt, panels, inches, save, high)


def colour(model: str) -> str:
    """Return a model's colour, which shows its axis."""
    return {"u": USER, "i": ITEM}.get(model.split("_")[0], OTHER)


def height_of(entries: Mapping[str, Entry]) -> float:
    """Return the height in inches at which the names of `models` do not overlap."""
    return max(3.2, 1.0 + 0.21 * len(entries))


def models(entries: Mapping[str, Entry]) -> Draw:
    """Draw a dot and its spread for each model, and the bias baselines as lines."""

    def draw(axes: Axes) -> None:
        names = list(entries)[::-1]
        for y, name in enumerate(names):
            entry = entries[name]
            axes.errorbar(entry.mean, y, xerr=entry.sd or 0, fmt="o", color=colour(name), capsize=3)
        for name, line in zip(BIASES, (":", "--"), strict=True):
            if name in entries:
                axes.axvline(entries[name].mean, color=INK, lw=0.8, ls=line)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel("test RMSE (dotted: bias, dashed: hierarchical_bias)")

    return draw


def sizes(errors: Mapping[tuple[str, int], Sequence[float]]) -> Draw:
    """Draw the error against the embedding size (Fig. 2), with a line for each model."""

    def draw(axes: Axes) -> None:
        for model in dict.fromkeys(model for model, _ in errors):
            own = {size: values for (name, size), values in errors.items() if name == model}
            means = [float(np.mean(values)) for values in own.values()]
            spread = [_spread(values) for values in own.values()]
            axes.errorbar(
                list(own), means, yerr=spread, fmt="o-", color=colour(model), capsize=3, label=model
            )
        axes.set_xlabel("embedding size K")
        axes.set_ylabel("test RMSE")
        axes.margins(y=0.25)
        axes.legend(loc="upper center", ncols=2)

    return draw


def cold_shares(levels: Mapping[str, ColdItemLevels]) -> Draw:
    """Draw the error under each cold policy against the cold share; ``levels`` are by pair."""

    def draw(axes: Axes) -> None:
        ordered = sorted(levels.items(), key=lambda item: astuple(item[1]))
        shares = [100 * each.cold_share for _, each in ordered]
        for policy, shade in zip(get_args(ColdPolicy), (USER, ITEM, FLOOR), strict=True):
            values = [getattr(each, policy) for _, each in ordered]
            axes.plot(shares, values, "o-", color=shade, label=f"cold={policy}")
        for share, (pair, each) in zip(shares, ordered, strict=True):
            axes.annotate(pair, (share, each.floor), fontsize=7, rotation=20, va="bottom")
        axes.set_xlabel("cold share of the test ratings, %")
        axes.set_ylabel("test RMSE")
        axes.margins(x=0.15, y=0.2)
        axes.legend(loc="center right")

    return draw


def gaps(found: Mapping[str, Sequence[float]], axis_label: str, shade: str) -> Draw:
    """Draw differences over seeds as a dot and its spread, and zero as a line."""

    def draw(axes: Axes) -> None:
        names = list(found)[::-1]
        for y, name in enumerate(names):
            spread = _spread(found[name])
            axes.errorbar(
                float(np.mean(found[name])), y, xerr=spread, fmt="o", color=shade, capsize=3
            )
        axes.axvline(0, color=INK, lw=0.8, ls=":")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(axis_label)

    return draw


def ranges(places: Mapping[str, Sequence[float]]) -> Draw:
    """Draw where the good trials lie in each range; the best trial is filled."""

    def draw(axes: Axes) -> None:
        names = list(places)[::-1]
        hollow: dict[str, Any] = {"fillstyle": "none", "color": OTHER, "ls": ""}
        for y, name in enumerate(names):
            best, *others = places[name]
            axes.plot([0, 1], [y, y], color=OTHER, lw=0.6)
            axes.plot(others, [y] * len(others), "o", **hollow)
            axes.plot(best, y, "o", color=ITEM)
        axes.set_yticks(range(len(names)), names)
        axes.set_xticks([0, 0.5, 1], ["low", "middle", "high"])
        axes.set_xlabel("place in the range (filled: the winner)")

    return draw


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
