"""A study's trials, one row each: the best epoch, how the trial ended, its cost, its failures."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import TIME_TOTAL_S

from darec.tuning.private import configs_of
from darec.tuning.study.accounts import Outcomes, Usage
from darec.tuning.trial.names import METRIC, TIME, flatten, trial_id_of


@dataclass(frozen=True)
class TrialRow:
    """A trial's best epoch, and how the trial ended."""

    trial_id: str
    ended: str
    """``completed`` (its last epoch), ``stopped early`` (by the scheduler), ``failed``,
    ``unfinished`` (it ran when the time budget ended or the search was interrupted), or the reason
    that the trial gave itself."""
    epochs: int
    best_epoch: int
    """The epoch with the lowest validation error; 0 if no epoch had a finite one."""
    best_valid_rmse: float
    config: dict[str, Any]
    """Every hyper-parameter, under flat names."""
    seconds: float = 0.0
    """Time of its epochs, and of the first stage if it trained that or waited for it."""
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    """CPU and GPU seconds that it used, repeated epochs included."""
    note: str = ""
    """What the trial itself reports, a damaged checkpoint for example."""
    failures: tuple[str, ...] = ()
    """The reason of each failed attempt, in order."""
    stage1_valid_rmse: float | None = None
    objective: float = math.inf
    """The best epoch's value of the metric that the search selects by."""
    rejudged_rmse: float | None = None
    """Mean validation RMSE on other divisions of the ratings (`darec.tuning.study.rejudge`)."""
    checkpoint: Any = field(default=None, repr=False)


def trial_rows(grid: tune.ResultGrid, outcomes: Outcomes, usage: Usage) -> list[TrialRow]:
    """Return all trials of a study, best first; those without a finite validation error last.

    The order of equally good ones does not depend on Tune's, which a resumed search changes.
    """
    found = zip(grid, configs_of(grid), strict=True)
    rows = [
        replace(
            _row(
                trial_id_of(Path(result.path).name), result.metrics or {}, config, outcomes, usage
            ),
            checkpoint=result.checkpoint,
        )
        for result, config in found
    ]
    return sorted(rows, key=_rank)


def rows_so_far(trials: Sequence[Any], outcomes: Outcomes, usage: Usage) -> list[TrialRow]:
    """Return the trials of a running study, best first, without checkpoints."""
    rows = [_row(t.trial_id, t.last_result or {}, t.config, outcomes, usage) for t in trials]
    return sorted(rows, key=_rank)


def _rank(row: TrialRow) -> tuple[bool, float, int, str]:
    drawn = str(sorted(row.config.items()))
    return row.best_epoch == 0, row.objective, row.best_epoch, drawn


def _row(
    trial_id: str,
    metrics: Mapping[str, Any],
    config: dict[str, Any],
    outcomes: Outcomes,
    usage: Usage,
) -> TrialRow:
    cpu_s, gpu_s = usage.seconds.get(trial_id, (0.0, 0.0))
    return TrialRow(
        trial_id=trial_id,
        ended=metrics.get("reason") or outcomes.ended.get(trial_id, "unfinished"),
        epochs=int(metrics.get(TIME, 0)),
        best_epoch=int(metrics.get("best_epoch", 0)),
        best_valid_rmse=float(metrics.get("best_valid_rmse", math.inf)),
        config=flatten(config),
        seconds=float(metrics.get(TIME_TOTAL_S, 0.0)),
        cpu_s=cpu_s,
        gpu_s=gpu_s,
        note=metrics.get("note", ""),
        failures=tuple(outcomes.failures.get(trial_id, ())),
        stage1_valid_rmse=metrics.get("stage1_valid_rmse"),
        objective=float(metrics.get(METRIC, math.inf)),
    )


def summary_lines(rows: list[TrialRow]) -> list[str]:
    """Return lines that say how trials ended, what they cost, and what failed and why."""
    ends = Counter(row.ended.split(":")[0] for row in rows)
    counts = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    cpu_s, gpu_s = sum(row.cpu_s for row in rows), sum(row.gpu_s for row in rows)
    cost = f"{cpu_s / 3600:.2g} CPU hours, {gpu_s / 3600:.2g} GPU hours"
    lines = [f"  trials     {counts}; {cost}"]
    for row in rows:
        if row.failures:
            then = "given up" if row.ended == "failed" else "started again"
            lines.append(
                f"  failure    trial {row.trial_id} failed {len(row.failures)} times and was "
                f"{then}: {row.failures[-1]}"
            )
        if row.note:
            lines.append(f"  note       trial {row.trial_id} {row.note}")
    return lines
