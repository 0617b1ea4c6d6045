"""What a search costs in addition to training, and how soon it is as good as random search.

Every figure runs whole studies on this machine's Ray, with its files in a temporary folder.
"""

import contextlib
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

from darec.benchmark.core import Figure, setting
from darec.core.config import plain
from darec.core.recommender import Weights
from darec.data.split import SearchData
from darec.models import MODELS
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.request import SearchSpace
from darec.tuning.study.run import run_study
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.names import flatten
from darec.tuning.trial.stage1_cache import ClusterCache

MIB = 2**20
ONE_AT_A_TIME, TWO_AT_A_TIME = Slots(1.0, 0.0, 1), Slots(1.0, 0.0, 2)
REPORTS = 15
RATE = {"learning_rate": FloatDistribution(1e-3, 2e-3)}


class NoCache:
    """A `Cache` that keeps nothing: every trial trains its own stage 1."""

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return a value computed anew."""
        return compute()


@dataclass(frozen=True)
class Ran:
    """A finished study: its wall time and its best validation RMSE after each of its epochs."""

    seconds: float
    curve: list[tuple[float, float]]
    """Seconds since the start and the lowest validation RMSE so far."""

    def reach(self, rmse: float) -> float:
        """Return the seconds until a validation RMSE was reached; infinite if it never was."""
        return next((seconds for seconds, best in self.curve if best <= rmse), float("inf"))


def trial_overhead(data: SearchData, few: int, many: int) -> list[Figure]:
    """Measure what one more trial costs, with a model that is fitted in milliseconds.

    The second figure is the share that this and 30 reports take of a trial of 30 s. The references
    are 0.2 s and 3 %.
    """
    study = Study(
        "bias",
        MODELS["bias"],
        data,
        {"reg_user": FloatDistribution(1.0, 10.0)},
        {},
        few,
        Path(),
        "",
    )
    hears_every_epoch = "hyperband"
    once, often = (
        _seconds_per_trial(study, _settings(ONE_AT_A_TIME, epochs, hears_every_epoch), few, many)
        for epochs in (1, 1 + REPORTS)
    )
    share = 100 * (once + 30 * (often - once) / REPORTS) / 30
    return [
        Figure("trial_overhead", once, "s", 0.2, 0.2 / once),
        Figure("overhead_of_a_30_s_trial", share, "%", 3.0, 3.0 / share),
    ]


def side_by_side(data: SearchData, few: int, many: int, epochs: int) -> Figure:
    """Compare the wall time per trial, one after another and two at once."""
    fixed = _fixed(plain(setting("item")), RATE)
    study = Study("i_autorec", MODELS["i_autorec"], data, RATE, fixed, few, Path(), "")
    one, two = (
        _seconds_per_trial(study, _settings(slots, epochs), few, many)
        for slots in (ONE_AT_A_TIME, TWO_AT_A_TIME)
    )
    return Figure("two_trials_side_by_side", two, "s", one, one / two)


def stage1_reuse(data: SearchData, trials: int, epochs: int) -> Figure:
    """Compare DARec trials per hour if stage 1 is trained once, and if it is in every trial."""
    fixed = {"autorec": {**plain(setting("item")), "epochs": 30}, "pyramid": 1.0}
    study = Study("i_darec", MODELS["i_darec"], data, RATE, fixed, trials, Path(), "")
    rates = []
    for cache in (ClusterCache(), NoCache()):
        settings = replace(_settings(TWO_AT_A_TIME, epochs), cache=cache)
        rates.append(3600 * trials / _run(study, settings).seconds)
    return Figure("darec_trials_per_hour", rates[0], "/h", rates[1], rates[0] / rates[1])


def shared_gpu(
    data: SearchData, at_once: tuple[int, ...], trials: int, epochs: int, gpus: float = 1.0
) -> Iterator[Figure]:
    """Compare trials per hour of one trial at a time on a GPU with those of several that share it.

    ``gpus`` is what all trials at once get together.
    """
    fixed = _fixed(plain(setting("item")), RATE)
    study = Study("i_autorec", MODELS["i_autorec"], data, RATE, fixed, trials, Path(), "")
    first = None
    for concurrent in at_once:
        settings = _settings(Slots(1.0, gpus / concurrent, concurrent), epochs)
        rate = 3600 / _seconds_per_trial(study, settings, concurrent, concurrent + trials)
        first = first or rate
        yield Figure(f"trials_per_hour_{concurrent}_at_once", rate, "/h", first, rate / first)


def shared_data(data: SearchData, epochs: int) -> Figure:
    """Compare the memory of four trials at once with four times that of one.

    Memory is the proportional set size of all trial processes: a page shared by four counts as a
    quarter in each.
    """
    fixed = _fixed({**plain(setting("item")), "hidden": 100}, RATE)
    study = Study("i_autorec", MODELS["i_autorec"], data, RATE, fixed, 4, Path(), "")
    sizes = []
    for concurrent in (1, 4):
        settings = _settings(Slots(0.25, 0.0, concurrent), epochs)
        with _largest_workers() as largest:
            _run(study, settings)
        sizes.append(max(largest) / MIB)
    return Figure("memory_of_4_trials", sizes[1], "MiB", 4 * sizes[0], 4 * sizes[0] / sizes[1])


def time_to_quality(
    data: SearchData, space: SearchSpace, trials: int, epochs: int, seed: int
) -> list[Figure]:
    """Compare how long the default search takes to the best RMSE that plain random search finds.

    Ours is TPE from a good guess, with ASHA and a shared stage 1. Both run the same number of
    trials of I-DARec, two at once, with the same stage-1 config. The reference draws every trial at
    random, trains stage 1 in each trial, and trains each trial until it stalls. Its time is that of
    the whole search, since only then its best is known. The figure ``_first`` instead takes the
    time at which that best was first seen.
    """
    autorec = {**plain(setting("item")), "hidden": 100, "epochs": 20}
    flat = {**space.fixed, **flatten({"autorec": autorec})}
    study = Study("i_darec", MODELS["i_darec"], data, dict(space.space), flat, trials, Path(), "")
    ours = replace(_settings(TWO_AT_A_TIME, epochs), sampler="tpe", scheduler="asha", seed=seed)
    simple = replace(ours, sampler="random", scheduler="none", cache=NoCache())
    reference, run = _run(study, simple), _run(replace(study, start=space.start), ours)
    best = reference.curve[-1][1]
    seconds, name = run.reach(best), f"time_to_quality_seed_{seed}"
    reached = math.isfinite(seconds)
    return [
        Figure(label, seconds if reached else run.seconds, "s", of, of / seconds)
        for label, of in ((name, reference.seconds), (f"{name}_first", reference.reach(best)))
    ]


def _settings(slots: Slots, epochs: int, scheduler: str = "none") -> Settings:
    return Settings("random", scheduler, epochs, slots, seed=0, cache=ClusterCache())


def _fixed(config: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    return {name: value for name, value in flatten(dict(config)).items() if name not in space}


def _seconds_per_trial(study: Study, settings: Settings, few: int, many: int) -> float:
    """Return the wall time of one more trial; what every study costs cancels out."""
    seconds = [_run(replace(study, trials=trials), settings).seconds for trials in (few, many)]
    return (seconds[1] - seconds[0]) / (many - few)


def _run(study: Study, settings: Settings) -> Ran:
    """Run a study with its files in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin, begun = time.perf_counter(), time.time()
        run_study(replace(study, folder=folder, storage=name), settings, resume=False)
        seconds = time.perf_counter() - begin
        rows = [
            (row["timestamp"] - begun, row["valid_rmse"])
            for path in folder.glob("tune/*/result.json")
            for row in map(json.loads, path.read_text().splitlines())
        ]
    curve, best = [], float("inf")
    for at, rmse in sorted(rows):
        best = min(best, rmse)
        curve.append((at, best))
    return Ran(seconds, curve)


@contextlib.contextmanager
def _largest_workers() -> Iterator[list[int]]:
    """Sample the trial processes' memory until the block ends."""
    done, sizes = threading.Event(), [0]

    def sample() -> None:
        while not done.wait(0.2):
            with contextlib.suppress(OSError):  # a process that has ended
                sizes.append(sum(_proportional_set_size(folder) for folder in _workers()))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield sizes
    finally:
        done.set()
        thread.join()


def _workers() -> list[Path]:
    """Return the folders under /proc of this process's grandchildren that run trials (Linux)."""
    ours = str(os.getpid())
    return [
        path.parent
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text().startswith("ray::Resource")
        and _parent(Path("/proc", _parent(path.parent))) == ours
    ]


def _parent(folder: Path) -> str:
    return (folder / "stat").read_text().rpartition(")")[2].split()[1]


def _proportional_set_size(folder: Path) -> int:
    lines = (folder / "smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
