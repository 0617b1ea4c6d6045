"""How the driver's cost grows with a search: many trials of a trivial model on many small nodes.

The nodes are processes of this machine (`ray.cluster_utils`), each with one CPU to give.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optuna.distributions import FloatDistribution

from darec.benchmark.core import Figure
from darec.benchmark.memory import MIB, forget_peak, peak
from darec.benchmark.simulation import simulated_cluster, timed_snapshots
from darec.data.split import SearchData
from darec.models import MODELS
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.run import run_study
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.stage1_cache import ClusterCache

MOST_SHARE = 5.0
"""Percent of the wall time that snapshots may take."""


def scale(data: SearchData, nodes: int, trials: tuple[int, ...]) -> Iterator[Figure]:
    """Run searches of more and more trials, ``nodes`` at a time.

    References: the first search's seconds per trial, its CPU time of the driver per result (a row
    of ``result.json``), the memory that it added to the driver, 5 % of the wall time, and its state
    times the ratio of the trials.
    """
    with simulated_cluster(nodes):
        _ran(data, nodes, nodes)  # the nodes' first processes
        first: _Cost | None = None
        for count in trials:
            cost = _ran(data, nodes, count)
            first = first or cost
            for name, unit, ours, reference in (
                ("each", "s", cost.seconds / count, first.seconds / first.trials),
                ("driver", "ms", cost.cpu_ms, first.cpu_ms),
                ("memory", "MiB", cost.memory / MIB, first.memory / MIB),
                ("snapshots", "%", 100 * cost.snapshots_s / cost.seconds, MOST_SHARE),
                ("state", "MiB", cost.state / MIB, count * first.state / first.trials / MIB),
            ):
                yield Figure(f"{count}_trials_{name}", ours, unit, reference, reference / ours)


@dataclass(frozen=True)
class _Cost:
    """What a search took."""

    trials: int
    results: int
    seconds: float
    cpu_s: float
    """CPU seconds of the driver."""
    memory: int
    """Bytes by which it raised the driver's peak memory."""
    snapshots_s: float
    state: int
    """Bytes."""

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the driver for a result."""
        return 1e3 * self.cpu_s / self.results


def _ran(data: SearchData, nodes: int, trials: int) -> _Cost:
    settings = Settings("random", "asha", 9, Slots(1.0, 0.0, nodes), 0, ClusterCache())
    with tempfile.TemporaryDirectory() as name, timed_snapshots() as snapshots:
        space = {"reg_user": FloatDistribution(1.0, 10.0)}
        study = Study("bias", MODELS["bias"], data, space, {}, trials, Path(name), name)
        forget_peak()
        before, begin, cpu_begin = peak(), time.perf_counter(), time.process_time()
        run_study(study, settings, resume=False)
        seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
        memory, folder = peak() - before, Path(name) / "tune"
        results = sum(len(path.read_text().splitlines()) for path in folder.glob("*/result.json"))
        state = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        return _Cost(trials, results, seconds, cpu_s, memory, sum(snapshots), state)
