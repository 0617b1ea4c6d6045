"""Run one study: Optuna proposes trials, and Tune runs them and stops poor ones early."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.durability import snapshot
from darec.tuning.private import (
    numbered_trials,
    progress_reporter_of,
    search_algorithm_of,
)
from darec.tuning.side_effects import quiet_libraries, signal_handlers_kept
from darec.tuning.study.accounts import Clock, Outcomes, Usage, own_failures
from darec.tuning.study.ending import early_end, storage_fault, without_winner
from darec.tuning.study.flat import Flat
from darec.tuning.study.halt import Halt
from darec.tuning.study.results import save_trials
from darec.tuning.study.rows import TrialRow, rows_so_far, summary_lines, trial_rows
from darec.tuning.study.searcher import SafeOptunaSearch
from darec.tuning.study.study import Settings, Study, StudyInterrupted
from darec.tuning.study.tuner import MAX_FAILURES, make_tuner, one_of

CLOCKS_DIFFER_S = 2.0
"""Most seconds by which Tune's clock of a time budget and ours may differ."""
REMEDY = "fix the cause and continue with --resume"


def run_study(study: Study, settings: Settings, resume: bool) -> list[TrialRow]:
    """Run or resume a study to its end and return its trials, best first.

    Raises `StudyInterrupted` when the study was asked to stop. Raises `UserError` when a fault
    halts it, or when no trial reached a finite validation RMSE.
    """
    budget = math.inf if study.time_budget is None else study.time_budget
    while True:
        with quiet_libraries():
            rows, watched = _run_once(study, settings, resume)
        if watched.halt.reason:
            _report(rows, settings)
            raise UserError(f"{study.storage}: {watched.halt.reason}; {REMEDY}")
        spent_s, slack = watched.clock.spent_s, max(CLOCKS_DIFFER_S, budget / 100)
        over = study.time_budget is not None and spent_s >= budget - slack
        flat = watched.flat
        asked = len(rows) if flat else study.trials
        if len(watched.outcomes.ended) < asked and (watched.halt.stopped or not over):
            _report(rows, settings)
            raise StudyInterrupted(study.storage)
        # Tune gives a trial up at once when the process that it is about to reuse has died.
        # Such a trial has failures left and is run again.
        failed = [own_failures(row.failures) for row in rows if row.ended == "failed"]
        if over or all(failures > MAX_FAILURES for failures in failed):
            break
        resume = True
    _report(rows, settings)
    if flat:
        settings.reporter.line(flat.ending_line())
    if fault := storage_fault(rows, study.storage):
        raise UserError(f"{study.storage}: {fault}; {REMEDY}")
    if not rows or rows[0].best_epoch == 0:
        raise UserError(f"{study.storage}: {without_winner(rows, budget if over else math.inf)}")
    return rows


def _report(rows: list[TrialRow], settings: Settings) -> None:
    for line in summary_lines(rows):
        settings.reporter.line(line)


@dataclass(frozen=True)
class _Watched:
    """The parts of a search that are read after Tune's run."""

    halt: Halt
    clock: Clock
    outcomes: Outcomes
    usage: Usage
    snapshots: snapshot.CopySnapshots
    search: SafeOptunaSearch

    @property
    def flat(self) -> Flat | None:
        """What ended the study before its last trial; None if nothing did."""
        flat = self.search.flat
        return flat if flat is not None and flat.reached else None

    @staticmethod
    def of(tuner: tune.Tuner) -> "_Watched":
        """Return a tuner's parts. A restored tuner has unpickled ones."""
        return _Watched(
            one_of(Halt, tuner),
            one_of(Clock, tuner),
            one_of(Outcomes, tuner),
            one_of(Usage, tuner),
            one_of(snapshot.CopySnapshots, tuner),
            search_algorithm_of(tuner).searcher,
        )


def _run_once(study: Study, settings: Settings, resume: bool) -> tuple[list[TrialRow], _Watched]:
    """Let Tune run until all trials have ended or it is stopped, by a time budget for example."""
    tuner = make_tuner(study, settings, resume)
    watched = _Watched.of(tuner)
    try:
        with (
            signal_handlers_kept(),
            numbered_trials(search_algorithm_of(tuner)),
            settings.reporter.study() as show,
        ):
            keep = partial(_keep_table, study, watched)
            progress_reporter_of(tuner).show_through(show, watched.outcomes.end_of, keep)
            grid = tuner.fit()
    except Exception as error:
        if watched.halt.stopped:
            raise StudyInterrupted(study.storage) from error
        if reason := early_end(error, watched.halt, watched.outcomes, watched.snapshots.folder):
            raise UserError(f"{study.storage}: {reason}; {REMEDY}") from error
        raise
    return trial_rows(grid, watched.outcomes, watched.usage), watched


def _keep_table(study: Study, watched: _Watched, trials: Sequence[Any]) -> None:
    """Write ``trials.csv`` of a running study, so that ``darec status`` can read it."""
    if (study.folder / "best.json").exists():
        return  # a finished study that is given more trials keeps its table until it has them
    try:
        save_trials(study, rows_so_far(trials, watched.outcomes, watched.usage))
        if storage.is_uri(study.storage):
            table = study.folder / "trials.csv"
            storage.publish_file(table, storage.join(study.storage, table.name))
    except (OSError, UserError) as error:  # the search itself will tell, if it matters
        LOGGER.debug("trials.csv: %s", error)
