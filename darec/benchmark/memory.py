"""Peak memory of training, by our core and by the dense reference, each in its own process.

``python -m darec.benchmark.memory ours|dense user|item PAIR HIDDEN`` prints the bytes of one.
"""

import ctypes
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from darec.benchmark.core import Figure, alone, setting
from darec.benchmark.dense import DenseAutoRec
from darec.core.recommender import Run
from darec.data.ratings import Axis
from darec.data.synthetic import planted_pair, synthetic_pair
from darec.models.autorec import AutoRec
from darec.paper import Counts

MIB = 2**20


def peak_memory(axis: Axis, pair: str, hidden: int) -> Figure:
    """Compare the memory that training AutoRec takes, on the target of a pair."""
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
    """Return the bytes by which two epochs of training raise the peak, beyond that of the data."""
    small = replace(setting(axis), hidden=1)
    warm = planted_pair("warm", Counts(20, 30, 30, 60, 60)).target
    DenseAutoRec(AutoRec(small, alone(warm), Run()), warm).train_epoch()
    AutoRec(small, alone(warm), Run()).train_epoch()
    ratings = synthetic_pair(pair).target
    forget_peak()
    before = peak()
    ours = AutoRec(replace(setting(axis), hidden=hidden), alone(ratings), Run())
    model = ours if which == "ours" else DenseAutoRec(ours, ratings)
    del ours
    for _ in range(2):
        model.train_epoch()
    return peak() - before


def forget_peak() -> None:
    """Make the memory in use now the peak of this process, on Linux with glibc.

    Without it, a step that needs less memory than one before it would seem to need none.
    """
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # freed memory goes back to the system
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Return the peak memory of this process in bytes, on Linux.

    ``getrusage`` would include the peak of the parent process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    which, axis, pair, hidden = sys.argv[1:]
    print(_measure(which, "user" if axis == "user" else "item", pair, int(hidden)))
