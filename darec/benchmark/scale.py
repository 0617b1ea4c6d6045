"""What the driver pays as a search grows: many trials of a trivial model on many small nodes.

The nodes are processes of this machine (`ray.cluster_utils`), each with one CPU to give.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from optuna.distributions import FloatDistribution

from darec.benchmark.core import Figure
from darec.data.split import SearchData
from darec.tuning.resources import Slots
from darec.tuning.search import Settings, Study, run_study
from darec.tuning.simulation import simulated_cluster, timed_snapshots
from darec.tuning.tasks import ClusterCache

MIB = 2**20
MOST_SHARE = 5.0
"""Percent of the wall time that snapshots may take."""


def scale(data: SearchData, nodes: int, trials: tuple[int, ...]) -> Iterator[Figure]:
    """Run searches of more and more trials, ``nodes`` at a time.

    References: the first search's seconds per trial, 5 % of the wall time, and the first search's
    state times the ratio of the trials.
    """
    with simulated_cluster(nodes):
        _ran(data, nodes, nodes)  # the nodes' first processes
        first: tuple[float, float] | None = None
        for count in trials:
            seconds, snapshots, size = _ran(data, nodes, count)
            first = first or (seconds / count, size / count)
            each, linear = seconds / count, count * first[1]
            share = 100 * snapshots / seconds
            yield Figure(f"{count}_trials_each", each, "s", first[0], first[0] / each)
            yield Figure(f"{count}_trials_snapshots", share, "%", MOST_SHARE, MOST_SHARE / share)
            yield Figure(f"{count}_trials_state", size / MIB, "MiB", linear / MIB, linear / size)


def _ran(data: SearchData, nodes: int, trials: int) -> tuple[float, float, int]:
    """Return a search's seconds, those of its snapshots, and the bytes of the state they leave."""
    settings = Settings("random", "asha", 9, Slots(1.0, 0.0, nodes), 0, ClusterCache())
    with tempfile.TemporaryDirectory() as name, timed_snapshots() as snapshots:
        space = {"reg_user": FloatDistribution(1.0, 10.0)}
        study = Study("bias", data, space, {}, trials, Path(name), name)
        begin = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run_study(study, settings, resume=False)
        seconds = time.perf_counter() - begin
        files = [path for path in (Path(name) / "tune").iterdir() if path.is_file()]
        return seconds, sum(snapshots), sum(path.stat().st_size for path in files)
