"""Seconds of a fit and peak memory of every model, each in its own process.

``python -m darec.benchmark.models MODEL PAIR CONFIG`` prints the seconds and bytes of one model.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from darec.benchmark.core import Figure
from darec.benchmark.memory import MIB, forget_peak, peak
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import split
from darec.data.synthetic import synthetic_pair
from darec.models import MODELS
from darec.paper import TABLE_1

EPOCHS = 30
"""Epochs of a fit, for models that are trained epoch by epoch."""


def fits(configs: Mapping[str, dict[str, Any]], pair: str) -> Iterator[Figure]:
    """Measure a fit of each model's config on a pair's synthetic stand-in.

    The reference of the seconds is the first model. The reference of the memory is the size of both
    rating matrices as dense float32.
    """
    counts, first = TABLE_1[pair], 0.0
    dense = 4 * counts.users * (counts.source_items + counts.target_items) / MIB
    for name, config in configs.items():
        command = [sys.executable, "-m", __name__, name, pair, json.dumps(config)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, memory = json.loads(run.stdout)
        memory = max(memory, MIB)  # smaller values cannot be measured
        first = first or seconds
        yield Figure(f"fit_{name}", seconds, "s", first, first / seconds)
        yield Figure(f"memory_{name}", memory / MIB, "MiB", dense, dense * MIB / memory)


def _measure(name: str, pair: str, values: dict[str, Any]) -> tuple[float, int]:
    """Return the seconds of a fit, and the bytes by which it raises the peak.

    One epoch is timed, and multiplied by the number of epochs.
    """
    torch.set_num_threads(1)
    data, kind = split(synthetic_pair(pair)).search, MODELS[name]
    forget_peak()
    before, begin = peak(), time.perf_counter()
    fit = Fit(kind.build(parse(kind.config, values), data.training, Run()), data)
    building = time.perf_counter() - begin
    fit.step()  # the first epoch loads compiled code
    begin = time.perf_counter()
    fit.step()
    epoch = time.perf_counter() - begin
    return building + epoch * (1 if kind.whole_fit else EPOCHS), peak() - before


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
