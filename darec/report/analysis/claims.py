"""The paper's claims, each judged on each pair by paired tests over splits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from darec.data.holdout import TrainPercent
from darec.evaluation.summary import summarise
from darec.report.analysis.numbers import errors
from darec.report.analysis.statistics import (
    LEAST_P,
    LEAST_SPLITS,
    LEVEL,
    SAME,
    holm,
    p_shown,
    paired_p,
    widening,
)
from darec.report.matrix.cells import BIASES, TABLE_2
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results

PAPER_GAIN = 3.7, 4.3
"""Percent by which U-DARec is better than U-AutoRec in the paper (section 4.3)."""
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Judgement:
    """A claim on one pair."""

    claim: str
    pair: str
    verdict: str
    """`HOLDS`, `FAILS` or `OPEN`."""
    evidence: str


@dataclass(frozen=True)
class Column:
    """The errors of all scored models on one pair at one share of training ratings."""

    title: str
    train: TrainPercent
    errors: Mapping[str, Sequence[float]]
    """RMSE by seed, by `Cell.row`; a model without ``(ours)`` is the paper's."""

    def has(self, *models: str) -> bool:
        """Whether all of these models are scored."""
        return all(model in self.errors for model in models)

    def mean(self, model: str) -> float:
        """Return a model's mean RMSE."""
        return float(np.mean(self.errors[model]))

    def gains(self, axis: str) -> list[float]:
        """Return how much lower DARec's RMSE is than AutoRec's, by seed, as a share."""
        ours, theirs = self.errors[f"{axis}_darec"], self.errors[f"{axis}_autorec"]
        return [1 - a / b for a, b in zip(ours, theirs, strict=True)]


def judge(request: Request, results: Results) -> list[Judgement]:
    """Return every claim that the scores at hand can judge."""
    found: list[Judgement] = []
    for pair in request.pairs:
        for train in request.train:
            cells = request.whole_models(pair, train)
            scored = {c.row: values for c in cells if (values := errors(results, c))}
            column = Column(f"{request.label(pair)}, {train} %", train, scored)
            found += _against_autorec(column)
            if request.shows("table2"):
                found += _best_of_table(column)
        if request.shows("fig2"):
            sizes = {key: errors(results, cell) for key, cell in request.figure2(pair).items()}
            for model in sorted({model for model, _ in sizes}):
                own = {size: values for (name, size), values in sizes.items() if name == model}
                if all(own.values()):
                    found.append(_optimal_size(f"{request.label(pair)}, 90 %", model, own))
    return found


def _against_autorec(column: Column) -> list[Judgement]:
    found = []
    for axis in "ui":
        if column.has(f"{axis}_darec", f"{axis}_autorec"):
            found.append(_better_than_autorec(column, axis))
            if axis == "u":
                found.append(_size_of_gain(column))
    if column.has("u_darec", "u_autorec", "i_darec", "i_autorec"):
        found.append(_users_gain_more(column))
    return found


def _better_than_autorec(column: Column, axis: str) -> Judgement:
    ours, theirs = f"{axis}_darec", f"{axis}_autorec"
    verdict, p = _lower(column.errors[ours], column.errors[theirs], column.train)
    text = f"{column.mean(ours):.4f} against {column.mean(theirs):.4f}"
    claim = f"{axis.upper()}-DARec is better than {axis.upper()}-AutoRec"
    evidence = f"{text}: {_percent(column.gains(axis))}; {p}"
    return Judgement(claim, column.title, verdict, evidence)


def _users_gain_more(column: Column) -> Judgement:
    user, item = column.gains("u"), column.gains("i")
    verdict, p = _lower([-gain for gain in user], [-gain for gain in item], column.train)
    if verdict == HOLDS and np.mean(user) <= 0:
        verdict = FAILS  # U-DARec loses less than I-DARec, but gains nothing
    text = f"gain on users {_percent(user)}, on items {_percent(item)}; {p}"
    return Judgement("U-DARec gains more than I-DARec", column.title, verdict, text)


def _size_of_gain(column: Column) -> Judgement:
    """Judge the size of U-DARec's gain by the 95 % interval of its mean.

    The claim holds if the interval lies within the paper's, and fails if the two do not overlap.
    """
    low, high = PAPER_GAIN
    gain = summarise([100 * value for value in column.gains("u")])
    half = gain.half_width
    width = math.inf if half is None else half * widening(gain.n, column.train)
    verdict = OPEN
    if gain.n >= LEAST_SPLITS:
        if gain.mean + width < low or gain.mean - width > high:
            verdict = FAILS
        elif low <= gain.mean - width and gain.mean + width <= high:
            verdict = HOLDS
    span = f"95 % interval {gain.mean - width:+.1f} to {gain.mean + width:+.1f}"
    text = f"gain {gain.mean:+.1f} %, {span if gain.n > 1 else 'one split'}"
    return Judgement(
        f"U-DARec's gain on U-AutoRec is {low} to {high} %", column.title, verdict, text
    )


def _best_of_table(column: Column) -> list[Judgement]:
    """Judge that I-DARec is better than every other model of Table 2."""
    rivals = [name for name in TABLE_2 if name in column.errors and name != "i_darec"]
    if not rivals or not column.has("i_darec"):
        return []
    ours, best = column.errors["i_darec"], min(rivals, key=column.mean)
    corrected = holm([paired_p(ours, column.errors[name], column.train) for name in rivals])
    missing = [name for name in TABLE_2 if name not in column.errors]
    ours_mean = column.mean("i_darec")
    if ours_mean < column.mean(best):
        p, verdict = max(corrected), HOLDS if not missing else OPEN
    else:
        p, verdict = corrected[rivals.index(best)], FAILS
    if p >= LEVEL or len(ours) < LEAST_SPLITS:
        verdict = OPEN
    text = f"{ours_mean:.4f}; best rival {best} {column.mean(best):.4f}"
    if missing:
        text += f", without {', '.join(missing)}"
    biases = {name: column.mean(name) for name in BIASES if column.has(name)}
    lower = [f"{name} {mean:.4f}" for name, mean in biases.items() if mean + SAME < ours_mean]
    if lower:
        text += f"; it loses to {' and '.join(lower)}"
    claim = "I-DARec is the best of Table 2"
    return [Judgement(claim, column.title, verdict, f"{text}; {_p(p)}")]


def _optimal_size(title: str, model: str, errors: Mapping[int, Sequence[float]]) -> Judgement:
    """Judge that the error is lowest at a size between the ends of Fig. 2's range."""
    best = min(errors, key=lambda size: float(np.mean(errors[size])))
    ends = {min(errors), max(errors)}
    rivals = sorted(ends if best not in ends else set(errors) - ends)
    p = max(holm([paired_p(errors[best], errors[size]) for size in rivals]))
    verdict = FAILS if best in ends else HOLDS
    if p >= LEVEL or len(errors[best]) < LEAST_SPLITS:
        verdict = OPEN
    text = ", ".join(f"{size}: {np.mean(values):.4f}" for size, values in errors.items())
    claim = f"{model}: an optimal embedding size lies between {min(errors)} and {max(errors)}"
    return Judgement(claim, title, verdict, f"{text}; lowest at {best}; {_p(p)}")


def _lower(ours: Sequence[float], theirs: Sequence[float], train: TrainPercent) -> tuple[str, str]:
    """Return the verdict on our values being lower than theirs, and the test's p-value as text."""
    p = paired_p(ours, theirs, train)
    if p >= LEVEL or len(ours) < LEAST_SPLITS:
        return OPEN, _p(p)
    return (HOLDS if np.mean(ours) < np.mean(theirs) else FAILS), _p(p)


def _percent(gains: Sequence[float]) -> str:
    return f"{100 * np.mean(gains):+.1f} %"


def _p(p: float) -> str:
    return f"p {'= ' * (p >= LEAST_P)}{p_shown(p)}"
