"""Judge a study's best few configurations again, on reshuffled validation ratings.

The winner of many trials on a few thousand validation ratings owes a part of its place to luck.
Here the best ones are trained again on other divisions of the same ratings into training and
validation ratings, all on the same ones. The lowest mean validation RMSE wins (reshuffling:
Nagler et al., arXiv 2405.15393). Test ratings have no part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import ray
import torch

from darec.core.config import parse
from darec.core.fit import PATIENCE, trained
from darec.core.recommender import DivergedError, Run
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.seeds import derive
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.names import nest
from darec.tuning.trial.travel import send_by_value

MOST, SPLITS = 5, 4
"""How many configurations are judged again by default, and on how many divisions."""
SHARE = 1 / 5
"""Most epochs that this may take by default, as a share of those of the trials."""


@dataclass(frozen=True)
class Again:
    """How many configurations are judged again, and on how many divisions; 0: none are."""

    configs: int
    splits: int


def affordable(rows: Sequence[TrialRow], max_epochs: int) -> Again:
    """Return the most that `SHARE` of the trials' epochs pays for, expecting each run to stall.

    Epochs are counted rather than seconds, so that a reproducible search decides the same.
    """
    able = [row for row in rows if row.best_epoch > 0]
    budget = SHARE * sum(row.epochs for row in rows)
    for configs in range(min(MOST, len(able)), 1, -1):
        each = sum(min(max_epochs, row.best_epoch + PATIENCE) for row in able[:configs])
        if (splits := min(SPLITS, int(budget / each))) >= 2:
            return Again(configs, splits)
    return Again(0, 0)


def rejudged(
    study: Study, rows: list[TrialRow], settings: Settings, asked: int | None
) -> list[TrialRow]:
    """Return the trials with the winner by the second judgement first.

    ``asked`` is the number of configurations that are judged again; None: as many as are
    `affordable`. Those that were have their mean as ``rejudged_rmse``; the order is by that, then
    by the first judgement. A configuration that diverges on a division is put behind the others.
    """
    able = sum(row.best_epoch > 0 for row in rows)
    again = Again(min(asked, able), SPLITS) if asked else Again(0, 0)
    if asked is None:
        again = affordable(rows, settings.max_epochs)
    if again.configs < 2:
        return rows
    told = f"{again.configs} configurations on {again.splits} other divisions"
    settings.reporter.line(f"  judged again: {told} into training and validation ratings")
    data = [study.data.reshuffled(derive(settings.seed, "rejudge", n)) for n in range(again.splits)]
    share = settings.slots
    options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "memory": share.memory}
    task = ray.remote(**options, max_retries=3)(_valid_rmse)
    kind, stored = ray.put(send_by_value(study.kind)), [ray.put(each) for each in data]
    run = Run(derive(settings.seed, "run"), "cuda" if share.gpus else "cpu", settings.cache)
    threads = max(1, int(share.cpus))
    asked_of = [
        [
            task.remote(kind, nest(row.config), each, run, settings.max_epochs, threads)
            for each in stored
        ]
        for row in rows[: again.configs]
    ]
    means = [mean(ray.get(each)) for each in asked_of]
    judged = [replace(row, rejudged_rmse=m) for row, m in zip(rows, means, strict=False)]
    judged.sort(key=lambda row: row.rejudged_rmse or 0.0)
    _tell(rows[0], judged[0], settings)
    return judged + rows[again.configs :]


def _tell(before: TrialRow, now: TrialRow, settings: Settings) -> None:
    found = f"mean validation RMSE {now.rejudged_rmse:.4f}"
    if now.trial_id == before.trial_id:
        settings.reporter.line(f"  judged again: trial {now.trial_id} stays the best, {found}")
    else:
        told = f"trial {now.trial_id} takes the place of {before.trial_id}, {found}"
        settings.reporter.line(f"  judged again: {told}")


def _valid_rmse(
    kind: ModelKind,
    config: dict[str, Any],
    data: SearchData,
    run: Run,
    max_epochs: int,
    threads: int,
) -> float:
    """Return a configuration's lowest validation RMSE on one division; the worst if it diverges."""
    torch.set_num_threads(threads)
    try:
        model = kind.build(parse(kind.config, config), data.training, run)
        return trained(model, data, max_epochs).best_rmse
    except DivergedError:
        return data.valid.scale.range
