"""Says in one line why Tune's run of a study ended before its time, or without a winner."""

import math
import pickle
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ray.tune import TuneError

from darec.reporter import LOGGER
from darec.tuning.study.accounts import Outcomes
from darec.tuning.study.halt import NO_SPACE, Halt, StudyHalted
from darec.tuning.study.rows import TrialRow

STORAGE_FAULTS = (
    *(NO_SPACE, "Read-only file system", "Permission denied", "Disk quota exceeded"),
    *("Input/output error", "Stale file handle", "Unable to set up cluster storage", "AWS Error"),
)
"""Error texts of storage that cannot be written."""
FULL = 2**20
"""A disk with fewer free bytes counts as full."""


def early_end(error: Exception, halt: Halt, outcomes: Outcomes, staging: Path | None) -> str:
    """Return why a run ended with an error; empty if the error is not one of Tune or of a disk.

    ``staging`` is Ray's folder on this machine, to which Tune writes first.
    """
    LOGGER.debug("Tune's run ended", exc_info=error)
    if halt.reason and isinstance(error, StudyHalted | TuneError):  # Tune wraps most errors
        return halt.reason
    if isinstance(error, EOFError | pickle.UnpicklingError):  # a full disk cut Tune's files short
        return _last_failure(outcomes) or str(error)
    if not isinstance(error, TuneError | OSError):
        return ""
    reason = ([line for line in str(error).splitlines() if line.strip()] or [repr(error)])[-1]
    if NO_SPACE in reason and staging and _is_full(staging):
        session = (each.parent for each in staging.parents if each.name.startswith("session_"))
        return f"{NO_SPACE} on device: {next(session, staging)}"
    if isinstance(error, OSError):
        return _last_failure(outcomes) or reason
    return reason


def _last_failure(outcomes: Outcomes) -> str:
    """Return the last failure of the trial that was the latest to fail for the first time.

    It is empty if no trial has failed.
    """
    *_, last = ["", *(each[-1] for each in outcomes.failures.values())]
    return last


def storage_fault(rows: Sequence[TrialRow], place: str) -> str:
    """Return the first trial failure that storage caused; empty if there is none.

    ``place`` is the study's folder or URI. An error that names it counts, since only Tune's own
    errors name files there.
    """
    faults = (*STORAGE_FAULTS, place.partition("://")[2] or place)
    found = [
        failure for failure in _last_failures(rows) if any(fault in failure for fault in faults)
    ]
    return found[0] if found else ""


def without_winner(rows: Sequence[TrialRow], spent_s: float) -> str:
    """Return why no trial has a finite validation RMSE.

    ``spent_s`` is the time budget in seconds if that ended the study, otherwise infinity.
    """
    if math.isfinite(spent_s) and not any(row.epochs or row.failures for row in rows):
        message = f"its time budget of {spent_s:g} s ended before any trial finished an epoch"
        return f"{message}; --resume continues until one has, or start anew with more --time-budget"
    ends = Counter(_last_failures(rows) or [row.ended for row in rows] or ["no trial was started"])
    ((reason, _),) = ends.most_common(1)
    return f"no trial has a finite validation RMSE: {reason}"


def _last_failures(rows: Sequence[TrialRow]) -> list[str]:
    """Return why each trial that was given up failed at last."""
    return [row.failures[-1] for row in rows if row.ended == "failed" and row.failures]


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < FULL
