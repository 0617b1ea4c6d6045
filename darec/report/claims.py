"""The paper's claims, each judged on each pair by paired scores over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from darec.data.split import TrainPercent
from darec.evaluation.summary import summarise
from darec.report.cells import TABLE_2, Results
from darec.report.numbers import errors
from darec.report.sections import Request
from darec.report.statistics import (
    LEAST_P,
    LEAST_SPLITS,
    LEVEL,
    SAME,
    holm,
    p_shown,
    paired_p,
    widening,
)

PAPER_GAIN = 3.7, 4.3
"""Percent by which U-DARec is said to be better than U-AutoRec (section 4.3)."""
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Judgement:
    """A claim on one pair."""

    claim: str
    pair: str
    verdict: str
    """`HOLDS`, `FAILS` or `OPEN`."""
    evidence: str


def judge(request: Request, results: Results) -> list[Judgement]:
    """Return every claim that can be judged from the scores at hand."""
    found: list[Judgement] = []
    for pair in request.pairs:
        for train in request.train:
            named = f"{request.label(pair)}, {train} %"
            scored = {cell.model: errors(results, cell) for cell in request.whole(pair, train)}
            known = {name: values for name, values in scored.items() if values}
            found += _of_column(named, known, train)
            rivals = [name for name in TABLE_2 if name in known and name != "i_darec"]
            if request.has("table2") and "i_darec" in known and rivals:
                found.append(_best_of_table(named, known, rivals, train))
        if request.has("fig2"):
            sizes = {key: errors(results, cell) for key, cell in request.figure2(pair).items()}
            for model in sorted({model for model, _ in sizes}):
                own = {size: values for (name, size), values in sizes.items() if name == model}
                if all(own.values()):
                    found.append(_optimum(request.label(pair), model, own))
    return found


def _of_column(
    named: str, known: Mapping[str, Sequence[float]], train: TrainPercent
) -> list[Judgement]:
    found = []
    for letter in "ui":
        names = f"{letter}_darec", f"{letter}_autorec"
        if all(name in known for name in names):
            claim = f"{letter.upper()}-DARec is better than {letter.upper()}-AutoRec"
            ours, theirs = (known[name] for name in names)
            found.append(_better(claim, named, ours, theirs, train))
            if letter == "u":
                found.append(_gain_within(named, ours, theirs, train))
    pairs = ("u_darec", "u_autorec", "i_darec", "i_autorec")
    if all(name in known for name in pairs):
        user, item = (
            _gains(known[f"{letter}_darec"], known[f"{letter}_autorec"]) for letter in "ui"
        )
        text = f"gain on users {_percent(user)}, on items {_percent(item)}"
        verdict, p = _verdict([-gain for gain in user], [-gain for gain in item], train)
        if verdict == HOLDS and np.mean(user) <= 0:
            verdict = FAILS  # it loses less
        found.append(Judgement("U-DARec gains more than I-DARec", named, verdict, f"{text}; {p}"))
    return found


def _better(
    claim: str,
    named: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    train: TrainPercent,
) -> Judgement:
    """Judge that the first has the lower error."""
    verdict, p = _verdict(ours, theirs, train)
    text = f"{np.mean(ours):.4f} against {np.mean(theirs):.4f}: {_percent(_gains(ours, theirs))}"
    return Judgement(claim, named, verdict, f"{text}; {p}")


def _gain_within(
    named: str, ours: Sequence[float], theirs: Sequence[float], train: TrainPercent
) -> Judgement:
    """Judge the size of U-DARec's gain by the 95 % interval of its mean.

    It holds where the interval lies within the paper's, and fails where they do not meet.
    """
    low, high = PAPER_GAIN
    gain = summarise([100 * value for value in _gains(ours, theirs)])
    width = math.inf if gain.half_width is None else gain.half_width * widening(gain.n, train)
    verdict = OPEN
    if gain.n >= LEAST_SPLITS:
        if gain.mean + width < low or gain.mean - width > high:
            verdict = FAILS
        elif low <= gain.mean - width and gain.mean + width <= high:
            verdict = HOLDS
    span = f"95 % interval {gain.mean - width:+.1f} to {gain.mean + width:+.1f}"
    text = f"gain {gain.mean:+.1f} %, {span if gain.n > 1 else 'one split'}"
    return Judgement(f"U-DARec's gain on U-AutoRec is {low} to {high} %", named, verdict, text)


def _best_of_table(
    named: str,
    known: Mapping[str, Sequence[float]],
    rivals: Sequence[str],
    train: TrainPercent,
) -> Judgement:
    ours, best = known["i_darec"], min(rivals, key=lambda name: float(np.mean(known[name])))
    corrected = holm([paired_p(ours, known[name], train) for name in rivals])
    left_out = [name for name in TABLE_2 if name not in known]
    if np.mean(ours) < np.mean(known[best]):
        p, verdict = max(corrected), HOLDS if not left_out else OPEN
    else:
        p, verdict = corrected[rivals.index(best)], FAILS
    if p >= LEVEL or len(ours) < LEAST_SPLITS:
        verdict = OPEN
    told = f"{np.mean(ours):.4f}; best rival {best} {np.mean(known[best]):.4f}"
    but = f", without {', '.join(left_out)}" if left_out else ""
    if "bias" in known and np.mean(ours) > np.mean(known["bias"]) + SAME:
        but += f"; it loses to bias {np.mean(known['bias']):.4f}"
    return Judgement("I-DARec is the best of Table 2", named, verdict, f"{told}{but}; {_p(p)}")


def _optimum(label: str, model: str, errors: Mapping[int, Sequence[float]]) -> Judgement:
    """Judge that the error is lowest within the sizes of Fig. 2, not at either end."""
    best = min(errors, key=lambda size: float(np.mean(errors[size])))
    ends = {min(errors), max(errors)}
    rivals = sorted(ends if best not in ends else set(errors) - ends)
    p = max(holm([paired_p(errors[best], errors[size]) for size in rivals]))
    verdict = FAILS if best in ends else HOLDS
    if p >= LEVEL or len(errors[best]) < LEAST_SPLITS:
        verdict = OPEN
    told = ", ".join(f"{size}: {np.mean(values):.4f}" for size, values in errors.items())
    claim = f"{model}: an optimal embedding size lies between {min(errors)} and {max(errors)}"
    return Judgement(claim, f"{label}, 90 %", verdict, f"{told}; lowest at {best}; {_p(p)}")


def _verdict(
    ours: Sequence[float], theirs: Sequence[float], train: TrainPercent
) -> tuple[str, str]:
    """Return whether the first is surely lower, surely higher, or neither."""
    p = paired_p(ours, theirs, train)
    if p >= LEVEL or len(ours) < LEAST_SPLITS:
        return OPEN, _p(p)
    return (HOLDS if np.mean(ours) < np.mean(theirs) else FAILS), _p(p)


def _gains(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [1 - a / b for a, b in zip(ours, theirs, strict=True)]


def _percent(gains: Sequence[float]) -> str:
    return f"{100 * np.mean(gains):+.1f} %"


def _p(p: float) -> str:
    return f"p {'= ' * (p >= LEAST_P)}{p_shown(p)}"
