"""Every step from rating files to predictions, on more and more ratings: its time and peak memory.

A model's step builds it and trains it for an epoch.

``python -m darec.benchmark.steps LINES MODEL,...`` prints ``{step: [seconds, bytes]}`` of one size,
without the models that are named.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from darec.benchmark.core import Figure
from darec.benchmark.data import write_ratings
from darec.benchmark.memory import MIB, forget_peak, peak
from darec.core.cold import ColdRule
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.copies import agreement
from darec.data.readers import read_ratings
from darec.data.split import SearchData, split
from darec.data.store import load, pair_file, prepare
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts
from darec.reporter import LOGGER
from darec.tuning.study.decay import decoupled
from darec.tuning.study.request import middle
from darec.tuning.trial.checkpoint import save_state
from search_spaces import SPACES

SIZES = (30_000, 100_000, 300_000, 1_000_000, 3_000_000)
"""Lines of each domain's file; the first is about the size of toys_auto."""
SLOWEST_S = 20.0
"""A model is not measured at a larger size once its step takes longer. Without `i_autorec`, its
validation, checkpoint and predictions are not measured either."""
BENDS = 2 / 3
"""A step whose ratio is lower grows faster than linearly by more than half."""
SIZED = {"hidden": 100, "batch_size": 128, "trains_on": "target"}
"""Hyper-parameters with the same value in all models that have them."""
Steps = dict[str, tuple[float, int]]
"""Seconds and bytes by step."""


def steps(sizes: Sequence[int] = SIZES, slowest: float = SLOWEST_S) -> Iterator[Figure]:
    """Measure all steps at each size, in a process of its own.

    The reference is the first size's value times the number of lines, so that a ratio of 1 means a
    constant cost for each rating; below `BENDS` a step grows faster than linearly. The last figure,
    ``bends_first``, is the first such one, at the smallest size, if there is any.
    """
    first: dict[str, Figure] = {}
    bends: Figure | None = None
    left_out: list[str] = []
    for lines in sizes:
        command = [sys.executable, "-m", __name__, str(lines), ",".join(left_out)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        found: Steps = json.loads(run.stdout)
        slow = [name for name in MODELS if name in found and found[name][0] > slowest]
        left_out += slow
        if slow and lines != sizes[-1]:
            message = "not measured above %d lines, as a step took more than %g s: %s"
            LOGGER.warning(message, lines, slowest, ", ".join(slow))
        for step, (seconds, memory) in found.items():
            for name, value, unit in (
                (f"{step}_{lines}", seconds, "s"),
                (f"{step}_{lines}_memory", max(memory, MIB) / MIB, "MiB"),
            ):
                start = first.setdefault(
                    name.replace(str(lines), ""), Figure(name, value, unit, 0, 0)
                )
                linear = start.value * lines / sizes[0]
                figure = Figure(name, value, unit, linear, linear / value)
                if bends is None and figure.ratio < BENDS:
                    bends = replace(figure, name=f"bends_first_{name}")
                yield figure
    if bends is not None:
        yield bends


def _measure(lines: int, left_out: Sequence[str]) -> Steps:
    torch.set_num_threads(1)
    found: Steps = {}
    warm = split(planted_pair("warm", Counts(100, 50, 50, 1000, 1000))).search
    _ = ColdRule(warm.training).hierarchical  # loads libraries and compiled code

    @contextmanager
    def step(name: str) -> Iterator[None]:
        forget_peak()
        before, begin = peak(), time.perf_counter()
        yield
        found[name] = time.perf_counter() - begin, peak() - before

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "source.csv", folder / "target.csv"
        write_ratings(source, lines, "A", n_items=lines // 15)
        write_ratings(target, lines, "B", n_items=lines // 15)
        with step("read"):
            read_ratings([source])
        with step("prepare"):
            prepare("growth", folder, source, target)
        with step("load"):
            pair = load(pair_file(folder, "growth"))
        with step("twins"):
            agreement(pair.target)
        with step("split"):
            data = split(pair).search
        with step("centre"):
            ColdRule(data.training).hierarchical.predict(data.valid.users, data.valid.items)
        for model in MODELS:
            if model not in left_out:
                middle_fit(model, warm).step()  # compiles the model's code before it is timed
                with step(model):
                    fit = middle_fit(model, data)
                    fit.step()
                if model == "i_autorec":
                    with step("validate"):
                        fit.validate()
                    with step("checkpoint"):
                        save_state(fit.state_dict(), folder)
                    with step("predict"):
                        fit.model.predict(data.training.target.users, data.training.target.items)
    return found


def middle_fit(model: str, data: SearchData, device: str = "cpu") -> Fit:
    """Return a fit in the middle of a model's space, whose first stage is trained for an epoch."""
    kind = MODELS[model]
    config = parse(kind.config, middle_config(model))
    return Fit(kind.build(config, data.training, Run(device=device)), data)


def middle_config(model: str) -> dict[str, Any]:
    """Return the config in the middle of a model's space, with one epoch of a first stage."""
    values, first = _middle(model), MODELS[model].stage1
    return values | ({first.field: {**_middle(first.model), first.epochs: 1}} if first else {})


def _middle(model: str) -> dict[str, Any]:
    """Return the middle of a model's space, with decoupled decay where there is a choice."""
    space = decoupled(SPACES[model])
    return middle(space) | {name: value for name, value in SIZED.items() if space.has(name)}


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]), sys.argv[2].split(","))))
