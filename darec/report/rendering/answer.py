"""The first section of the page: who is best on what, by how much, and whether it beats bias."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from darec.page.section import Section
from darec.report.analysis.numbers import Entry, column
from darec.report.matrix.cells import BIASES
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import figures
from darec.report.rendering.figures import picture

FAR = 1.2
"""A model whose RMSE is this many times that of the bias is far off."""


def answer(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield a sentence and a chart for each pair and training share that has scores."""
    columns = {
        (request.label(pair), train): entries
        for pair in request.pairs
        for train in request.train
        if (entries := column(results, request.whole_models(pair, train)))
    }
    if not columns:
        return
    messages, pictures = [], []
    for (pair, train), entries in columns.items():
        ordered = dict(sorted(entries.items(), key=lambda item: item[1].mean))
        messages.append(f"{pair}, {train} % training: {_in_words(ordered)}")
        listed = ", ".join(f"{name} {entry.mean:.4f}" for name, entry in ordered.items())
        near, far = _near_and_far(ordered)
        panel = {f"{pair}, {train} %": figures.models(near)}
        alt = f"Models on {pair} by test RMSE: {listed}"
        left_out = ", ".join(f"{name} {entry.mean:.4f}" for name, entry in far.items())
        caption, high = f"Far off, not drawn: {left_out}." if far else "", figures.height_of(near)
        name = f"answer-{pair}-{train}"
        pictures.append(picture(folder, name, caption, alt, panel, inches=8.0, high=high))
    yield Section("answer", "Who is best, and by how much", messages, [], pictures)


def _near_and_far(ordered: Mapping[str, Entry]) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return what a chart shows, and what would hide the differences between the others.

    That is the mean, and what is not even as good; without a mean, what is far above the bias.
    """
    bound = math.inf
    if "mean" in ordered:
        bound = ordered["mean"].mean
    elif "bias" in ordered:
        bound = FAR * ordered["bias"].mean
    near = {name: entry for name, entry in ordered.items() if entry.mean < bound} or dict(ordered)
    return near, {name: entry for name, entry in ordered.items() if name not in near}


def _in_words(ordered: Mapping[str, Entry]) -> str:
    """Return the answer for one column, whose entries are in order."""
    (best, entry), *_ = ordered.items()
    sd = "" if entry.sd is None else f" ± {entry.sd:.4f}"
    sure = "surely" if entry.best else "not surely"
    words = [f"{best} has the lowest test RMSE, {entry.mean:.4f}{sd} ({sure} the best)"]
    for name in BIASES:
        if name in ordered and name != best:
            words.append(f"{ordered[name].mean - entry.mean:.4f} below {name}")
    known = [name for name in BIASES if name in ordered]
    others = [each for name, each in ordered.items() if name not in known and name != "mean"]
    if known and others:
        beat = sum(not each.loses_to for each in others)
        words.append(f"{beat} of {len(others)} models do not lose to {' or '.join(known)}")
    return f"{', '.join(words)}."
