"""Shows a running study through a `Reporter`: its trials' states, and the best trials."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from ray.tune import ProgressReporter

from darec.core.objective import Metric
from darec.reporter import SILENT, Reporter
from darec.tuning.trial.names import METRIC, TIME, flatten

EVERY_S = 10.0
"""Seconds between two tables."""
MOST_ROWS = 8
"""Number of best trials in a table."""


class StudyProgress(ProgressReporter):
    """A progress reporter for Tune that passes everything to a `Reporter`."""

    def __init__(
        self,
        reporter: Reporter,
        hyper_parameters: Sequence[str],
        n_trials: int,
        metric: Metric = "rmse",
    ) -> None:
        self._names, self._n_trials = list(hyper_parameters), n_trials
        self._best = {"rmse": "best", "mae": "best MAE", "ndcg@10": "best 1 - NDCG@10"}[metric]
        self.show_through(reporter)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the `Reporter` out of Tune's pickles; `show_through` gives a resumed study one."""
        return {**self.__dict__, "_reporter": SILENT}

    def show_through(self, reporter: Reporter) -> None:
        """Use this reporter from now on."""
        self._reporter = reporter
        self._shown_at = -EVERY_S
        self._begin = time.monotonic()

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Return whether it is time for a table."""
        return done or time.monotonic() - self._shown_at >= EVERY_S

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        """Show the best trials; those without a finished epoch are only counted."""
        self._shown_at = time.monotonic()
        states = Counter(trial.status.lower() for trial in trials)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        seconds = time.monotonic() - self._begin
        title = f"{len(trials)} of {self._n_trials} trials ({counts}) after {seconds:.0f} s"
        known = [trial for trial in trials if METRIC in (trial.last_result or {})]
        known.sort(key=lambda trial: float(trial.last_result[METRIC]))
        if not known:
            self._reporter.line(title)
            return
        rows = {trial.trial_id: self._row(trial) for trial in known[:MOST_ROWS]}
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")
        self._reporter.table(title, table)

    def _row(self, trial: Any) -> dict[str, str]:
        result, config = trial.last_result, flatten(trial.config)
        drawn = [f"{name}={_short(config.get(name, ''))}" for name in self._names]
        return {
            "state": trial.status.lower(),
            "epoch": f"{result[TIME]:.0f}",
            "valid RMSE": f"{result['valid_rmse']:.4f}",
            self._best: f"{result[METRIC]:.4f}",
            "hyper-parameters": " ".join(drawn),
        }


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
