"""The section of what the searches found: winners' configurations, and how they were reached."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from darec.api.winner import chosen
from darec.data.holdout import TrainPercent
from darec.errors import UserError
from darec.page.picture import Draw, Picture
from darec.page.section import Section, Table, TableCell
from darec.report.matrix.cells import UNTUNED, Cell
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import texts
from darec.report.rendering.figures import picture
from darec.reporter import LOGGER
from darec.tuning.study.trials_table import read_trials

COLOURS = [f"C{k}" for k in range(10)]
"""Matplotlib's own ten colours; further curves repeat them in another of the `STYLES`."""
STYLES = ("-", "--", ":")
Curves = Mapping[str, list[float]]
"""The lowest validation RMSE after each trial, by the model's row."""


def winners(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield the winners of all whole models, and a search curve for each."""
    rows, pictures = [], []
    for pair in request.pairs:
        for train in request.train:
            curves: dict[str, list[float]] = {}
            for cell in request.whole_models(pair, train):
                best = results.winner(cell)
                if best is None or cell.model in UNTUNED:
                    continue
                said = f"{request.label(pair)}, {train} %", cell.row
                numbers = [
                    TableCell(f"{best.valid_rmse:.4f}", best.valid_rmse),
                    TableCell(str(best.trials), best.trials),
                ]
                rows.append([*map(TableCell, said), *numbers, TableCell(chosen(best))])
                if curve := _curve(cell, results):
                    curves[cell.row] = curve
            if curves:
                pictures.append(_picture(request.label(pair), train, curves, folder))
    if rows:
        head = ["pair", "model", "validation RMSE", "trials", "configuration"]
        table = Table("lowest validation RMSE of each search", head, rows)
        yield Section("winners", "What the searches found", [texts.WINNERS], [table], pictures)


def _curve(cell: Cell, results: Results) -> list[float]:
    """Return the lowest validation RMSE after each trial; empty if its table is damaged."""
    folder, best = cell.folder(results.out), results.winner(cell)
    assert best is not None
    try:
        trials = read_trials(folder, best, str(folder)).sort_values("trial_id", kind="stable")
    except UserError as error:
        LOGGER.warning("%s; the page leaves its search curve out", error)
        return []
    reached: list[float] = np.minimum.accumulate(trials["best_valid_rmse"]).tolist()
    return reached


def _picture(label: str, train: TrainPercent, curves: Curves, folder: Path) -> Picture:
    caption = f"{label}, {train} % training: the lowest validation RMSE after each trial."
    ends = ", ".join(f"{model} {curve[-1]:.4f}" for model, curve in curves.items())
    alt = f"Lowest validation RMSE after the last trial on {label}: {ends}"
    panel = {f"{label}, {train} %": _drawn(curves)}
    return picture(folder, f"searches-{label}-{train}", caption, alt, panel, inches=7.0)


def _drawn(curves: Curves) -> Draw:
    def draw(axes: Axes) -> None:
        ends = {model: curve[-1] for model, curve in curves.items()}
        for k, model in enumerate(sorted(ends, key=lambda name: -ends[name])):
            numbers, style = (
                range(1, len(curves[model]) + 1),
                STYLES[k // len(COLOURS) % len(STYLES)],
            )
            colour = COLOURS[k % len(COLOURS)]
            axes.step(numbers, curves[model], style, where="post", color=colour, lw=1, label=model)
        lowest, highest = min(ends.values()), max(ends.values())
        axes.set_ylim(lowest - 0.002, highest + 0.3 * (highest - lowest) + 0.004)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_ylabel("validation RMSE")

    return draw
