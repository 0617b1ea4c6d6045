"""Seconds of an epoch of the training core and of the dense reference, in one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from darec.benchmark.dense import DenseAutoRec, DenseDARec
from darec.core.adam import Decay
from darec.core.recommender import Run
from darec.data.ratings import Axis, Ratings
from darec.data.split import Training, split
from darec.data.synthetic import planted_pair
from darec.models.autorec import AutoRec, AutoRecConfig
from darec.models.darec import DARec, DARecConfig
from darec.paper import TABLE_1, Counts

Grows = Literal["ratings", "all"]


@dataclass(frozen=True)
class Figure:
    """A measured value, the reference that it is compared with, and how many times better it is."""

    name: str
    value: float
    unit: str
    reference: float
    ratio: float
    """Reference over value for times and sizes, value over reference for rates. It is 0 if a search
    never reached the reference's RMSE."""


def times_better(value: float, reference: float) -> float:
    """Return how many times smaller a value is than its reference; both may be 0."""
    return 1.0 if value == reference else reference / max(value, 1e-9)


def setting(axis: Axis, decay: Decay = "coupled") -> AutoRecConfig:
    """Return the config of the timed AutoRec: Eq. 1-2 with hidden 500 and batch size 256."""
    return AutoRecConfig(
        axis,
        hidden=500,
        alpha=0.01,
        center="bias",
        activation="sigmoid",
        batch_size=256,
        decay=decay,
        epochs=1,
    )


def alone(ratings: Ratings) -> Training:
    """Return one domain's ratings as a pair, for models that use the target only."""
    return Training(source=ratings, target=ratings)


def autorec_epoch(
    ratings: Ratings, axis: Axis, decay: Decay, repeats: int, device: str = "cpu"
) -> Figure:
    """Time an epoch of AutoRec. The name of the figure says ``decoupled``, but not ``coupled``."""
    ours = AutoRec(setting(axis, decay), alone(ratings), Run(device=device))
    dense = DenseAutoRec(ours, ratings)
    suffix = "" if decay == "coupled" else f"_{decay}"
    return _compared(f"autorec_epoch_{axis}{suffix}", ours.train_epoch, dense.train_epoch, repeats)


def darec_epoch(training: Training, axis: Axis, repeats: int, device: str = "cpu") -> Figure:
    """Time an epoch of stage 2 of DARec with 100 extractor units, as in Fig. 2."""
    config = DARecConfig(setting(axis), head="plain", extractor=100, batch_size=256)
    ours = DARec(config, training, Run(device=device))
    dense = DenseDARec(ours, training)
    return _compared(f"darec_epoch_{axis}", ours.train_epoch, dense.train_epoch, repeats)


def bandwidth_floor(epoch: Figure, ratings: Ratings, config: AutoRecConfig, device: str) -> Figure:
    """Compare an epoch of AutoRec with the time that the memory traffic of dense Adam takes.

    Dense Adam moves 28 bytes for each weight and step.
    """
    _, n_columns = ratings.shape(config.axis)
    steps = -(-np.count_nonzero(ratings.rows(config.axis).counts) // config.batch_size)
    moved = 28 * steps * 2 * n_columns * config.hidden
    floor = moved / bandwidth(device)
    return Figure(f"{epoch.name}_bandwidth_floor", epoch.value, "s", floor, floor / epoch.value)


def bandwidth(device: str) -> float:
    """Return the bytes per second that a device reads and writes in a large copy."""
    source = torch.zeros(2**26, device=device)
    copy = torch.empty_like(source)
    return 2 * source.nbytes / min(seconds(lambda: copy.copy_(source)) for _ in range(5))


def growth(
    axis: Axis, decay: Decay, grows: Grows, factors: tuple[int, ...] = (1, 4, 16)
) -> list[Figure]:
    """Time epochs on 1, 4 and 16 times as many ratings, or users, items and ratings.

    The reference is the first time multiplied by the factor, so that a ratio of 1 means a constant
    cost per rating. With coupled decay L2 moves every column in every step. The cost is then the
    number of columns times the number of steps, which grows with the square of the factor where
    there are more users and items.
    """
    figures: list[Figure] = []
    for factor in factors:
        users, *sizes = TABLE_1["toys_auto"]
        items, ratings = sizes[:2], [factor * size for size in sizes[2:]]
        if grows == "all":
            users, items = factor * users, [factor * size for size in items]
        source = planted_pair(f"{factor}x", Counts(users, *items, *ratings)).source
        model = AutoRec(replace(setting(axis, decay), hidden=100), alone(source), Run())
        model.train_epoch()
        taken = min(seconds(model.train_epoch) for _ in range(3))
        linear = factor * figures[0].value if figures else taken
        name = f"autorec_epoch_{axis}_{decay}_{factor}x_{grows}"
        figures.append(Figure(name, taken, "s", linear, linear / taken))
    return figures


def training_of(pair_name: str) -> Training:
    """Return the training ratings of a pair's synthetic stand-in."""
    pair = planted_pair(f"{pair_name}-synthetic", TABLE_1[pair_name])
    return split(pair).search.training


def _compared(
    name: str, ours: Callable[[], object], dense: Callable[[], object], repeats: int
) -> Figure:
    """Run both in turn, ``repeats`` times after a warm-up, and compare their medians."""
    ours(), dense()
    pairs = [(seconds(ours), seconds(dense)) for _ in range(repeats)]
    value, reference = np.median(pairs, axis=0).tolist()
    return Figure(name, value, "s", reference, reference / value)


def seconds(run: Callable[[], object]) -> float:
    """Return the wall time of a call, and of what it has given a GPU to do."""
    begin = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin
