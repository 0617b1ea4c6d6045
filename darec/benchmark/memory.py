"""Peak memory of one training epoch, ours or the dense reference's, in a process of its own.

Run as a module: ``python -m darec.benchmark.memory ours|dense user|item PAIR HIDDEN`` prints bytes.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from darec.benchmark.core import Figure, setting
from darec.benchmark.dense import DenseAutoRec
from darec.core.recommender import Run
from darec.data.ratings import Axis
from darec.data.synthetic import planted_pair, synthetic_pair
from darec.models.autorec import AutoRec
from darec.paper import Counts

MIB = 2**20


def peak_memory(axis: Axis, pair: str, hidden: int) -> Figure:
    """Compare the memory that training AutoRec on a pair's target adds to its data's."""
    ours, dense = (
        int(
            subprocess.run(
                [sys.executable, "-m", __name__, which, axis, pair, str(hidden)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for which in ("ours", "dense")
    )
    return Figure(f"peak_memory_{axis}", ours / MIB, "MiB", dense / MIB, dense / ours)


def _measure(which: str, axis: Axis, pair: str, hidden: int) -> int:
    """Return the bytes that two epochs of training add to the peak."""
    small = replace(setting(axis), hidden=1)
    warm = planted_pair("warm", Counts(20, 30, 30, 60, 60)).target
    DenseAutoRec(AutoRec(small, warm, Run()), warm).train_epoch()
    AutoRec(small, warm, Run()).train_epoch()
    ratings = synthetic_pair(pair).target
    before = peak()
    ours = AutoRec(replace(setting(axis), hidden=hidden), ratings, Run())
    model = ours if which == "ours" else DenseAutoRec(ours, ratings)
    del ours
    for _ in range(2):
        model.train_epoch()
    return peak() - before


def peak() -> int:
    """Return this program's peak memory in bytes (Linux; ``getrusage`` adds its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    which, axis, pair, hidden = sys.argv[1:]
    print(_measure(which, "user" if axis == "user" else "item", pair, int(hidden)))
