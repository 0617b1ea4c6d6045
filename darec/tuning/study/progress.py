"""Turns Tune's trials into what a live display shows."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune import ProgressReporter
from ray.tune.experiment.trial import Trial
from ray.tune.result import TIME_TOTAL_S

from darec.core.objective import Metric
from darec.reporter import Show, StudyView, TrialView
from darec.tuning.trial.names import METRIC, TIME, flatten

EVERY_S = 1.0
"""Seconds between two views."""
MEASURES: dict[Metric, str] = {"rmse": "RMSE", "mae": "MAE", "ndcg@10": "1 - NDCG@10"}
"""The name of the error that a search minimises."""


KEEP_EVERY_S = 5.0
"""Seconds between two tables of the trials; more, so that they take at most `KEEP_SHARE`."""
KEEP_SHARE = 1 / 50
"""The largest share of the time in which a study writes tables of the trials."""
Keep = Callable[[Sequence[Any]], object]
"""Keeps Tune's trials as they are now."""


def shows_nothing(view: StudyView) -> None:
    """Drop a view."""


def keeps_nothing(trials: Sequence[Any]) -> None:
    """Keep no trials."""


class StudyProgress(ProgressReporter):
    """A progress reporter for Tune that shows a study as a `StudyView`."""

    _part = (1, 1)  # snapshots of earlier versions lack it

    def __init__(
        self,
        title: str,
        hyper_parameters: Sequence[str],
        n_trials: int,
        metric: Metric = "rmse",
        to_beat: Mapping[str, float] | None = None,
        part: tuple[int, int] = (1, 1),
    ) -> None:
        self._title, self._names, self.n_trials = title, list(hyper_parameters), n_trials
        self._measure, self._to_beat, self._part = MEASURES[metric], dict(to_beat or {}), part
        self.show_through(shows_nothing, str)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be pickled; `show_through` gives it to a resumed study."""
        return {**self.__dict__, "_show": shows_nothing, "_ending": str, "_keep": keeps_nothing}

    def show_through(
        self, show: Show, ending: Callable[[str], str], keep: Keep = keeps_nothing
    ) -> None:
        """Send views to ``show``, and now and then the trials to ``keep``.

        ``ending`` says how a trial ended, by its id.
        """
        self._show, self._ending, self._keep = show, ending, keep
        self._keep_at = 0.0
        self._shown_at = -EVERY_S
        self._begin = time.monotonic()
        self._ended_before: int | None = None

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Return whether it is time for a view."""
        return done or time.monotonic() - self._shown_at >= EVERY_S

    def report(self, trials: list[Any], done: bool, *sys_info: Any) -> None:
        """Show where the study is."""
        self._shown_at = time.monotonic()
        self._show(self.view(trials))
        if done or self._shown_at >= self._keep_at:
            self._keep(trials)
            now = time.monotonic()
            self._keep_at = now + max(KEEP_EVERY_S, (now - self._shown_at) / KEEP_SHARE)

    def view(self, trials: list[Any]) -> StudyView:
        """Return where the study is."""
        ended = [trial for trial in trials if trial.is_finished()]
        if self._ended_before is None:
            self._ended_before = len(ended)
        known = [trial for trial in trials if METRIC in (trial.last_result or {})]
        best = min(known, key=lambda trial: float(trial.last_result[METRIC]), default=None)
        running = [trial for trial in trials if trial.status == Trial.RUNNING]
        spent_s, pace = time.monotonic() - self._begin, self._pace(ended, running)
        return StudyView(
            title=self._title,
            trials=self.n_trials,
            ended=Counter(self._ending(trial.trial_id).partition(":")[0] for trial in ended),
            running=[self._seen(trial) for trial in running],
            best=None if best is None else self._seen(best),
            measure=self._measure,
            to_beat=self._to_beat,
            spent_s=spent_s,
            left_s=pace and max(0.0, (self.n_trials - self._ended_before) / pace - spent_s),
            an_hour=pace and 3600 * pace,
            part=self._part,
        )

    def _pace(self, ended: list[Any], running: list[Any]) -> float | None:
        """Return the trials of this run in a second; a running trial counts by its time so far."""
        here = len(ended) - (self._ended_before or 0)
        spent_s = time.monotonic() - self._begin
        if not here or not spent_s:
            return None
        usual_s = sum(map(_seconds, ended)) / len(ended)
        parts = sum(min(0.9, _seconds(trial) / usual_s) for trial in running) if usual_s else 0.0
        return (here + parts) / spent_s

    def _seen(self, trial: Any) -> TrialView:
        result, config = trial.last_result or {}, flatten(trial.config)
        drawn = " ".join(f"{name}={_short(config.get(name, ''))}" for name in self._names)
        epoch, error = int(result.get(TIME, 0)), float(result.get(METRIC, math.nan))
        return TrialView(trial.trial_id, epoch, error, drawn)


def _seconds(trial: Any) -> float:
    return float((trial.last_result or {}).get(TIME_TOTAL_S, 0.0))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
