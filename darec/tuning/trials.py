"""A study's trials: what each reached, how it ended, what it cost and what failed."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import TIME_TOTAL_S

from darec.tuning.names import flatten
from darec.tuning.state import StudyState
from darec.tuning.trainable import METRIC, TIME


@dataclass(frozen=True)
class TrialRow:
    """A trial's best row, with how the trial ended."""

    trial_id: str
    ended: str
    """``completed`` (its last epoch, or the scheduler's decision), ``failed``, ``unfinished``, or
    the reason that it gave itself."""
    epochs: int
    best_epoch: int
    """0: no epoch with a finite validation RMSE."""
    best_valid_rmse: float
    config: dict[str, Any]
    """Every hyper-parameter, flat."""
    seconds: float = 0.0
    """Of its epochs, and of stage 1 where it trained that or waited for it."""
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    """What it used, with what it did twice."""
    note: str = ""
    """What the trial itself wants known: a damaged checkpoint, say."""
    failures: tuple[str, ...] = ()
    """Why attempts at it failed: it was started again after each but the last of a failed one."""
    stage1_valid_rmse: float | None = None
    checkpoint: Any = field(default=None, repr=False)


def trial_rows(grid: tune.ResultGrid, state: StudyState) -> list[TrialRow]:
    """Return all trials of a study, best first; those without a finite validation RMSE last."""
    trials = grid._experiment_analysis.trials  # a Result has a config once it has a metric
    rows = [_row(result, trial.config, state) for result, trial in zip(grid, trials, strict=True)]
    return sorted(rows, key=lambda row: (row.best_epoch == 0, row.best_valid_rmse))


def _row(result: tune.Result, config: dict[str, Any], state: StudyState) -> TrialRow:
    trial_id, metrics = Path(result.path).name, result.metrics or {}
    cpu_s, gpu_s = state.used.get(trial_id, (0.0, 0.0))
    return TrialRow(
        trial_id=trial_id,
        ended=metrics.get("reason") or state.ended.get(trial_id, "unfinished"),
        epochs=int(metrics.get(TIME, 0)),
        best_epoch=int(metrics.get("best_epoch", 0)),
        best_valid_rmse=float(metrics.get(METRIC, math.inf)),
        config=flatten(config),
        seconds=float(metrics.get(TIME_TOTAL_S, 0.0)),
        cpu_s=cpu_s,
        gpu_s=gpu_s,
        note=metrics.get("note", ""),
        failures=tuple(state.failures.get(trial_id, ())),
        stage1_valid_rmse=metrics.get("stage1_valid_rmse"),
        checkpoint=result.checkpoint,
    )


def outcome(rows: list[TrialRow]) -> list[str]:
    """Return lines that say how trials ended, what they cost, and what failed and why."""
    ends = Counter(row.ended.split(":")[0] for row in rows)
    counts = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    cpu_s, gpu_s = sum(row.cpu_s for row in rows), sum(row.gpu_s for row in rows)
    cost = f"{cpu_s / 3600:.2g} CPU hours, {gpu_s / 3600:.2g} GPU hours"
    lines = [f"  trials     {counts}; {cost}"]
    for row in rows:
        if row.failures:
            again = "given up" if row.ended == "failed" else "started again"
            lines.append(
                f"  failure    trial {row.trial_id}, {len(row.failures)} times, {again}: "
                f"{row.failures[-1]}"
            )
        if row.note:
            lines.append(f"  note       trial {row.trial_id} {row.note}")
    return lines
