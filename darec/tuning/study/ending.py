"""Says in one line why Tune's run of a study ended before its time."""

import pickle
import shutil
from pathlib import Path

from ray.tune import TuneError

from darec.reporter import LOGGER
from darec.tuning.study.accounts import Outcomes
from darec.tuning.study.halt import NO_SPACE, Halt, StudyHalted

STORAGE_FAULTS = (NO_SPACE, "Read-only file system", "Permission denied")
"""Error texts of storage that cannot be written."""
FULL = 2**20
"""A disk with less than so many bytes free is full."""


def early_end(error: Exception, halt: Halt, outcomes: Outcomes, staging: Path | None) -> str:
    """Return why a run ended with an error; empty if the error is not one of Tune or of a disk.

    ``staging`` is Ray's folder on this machine, to which Tune writes first.
    """
    LOGGER.debug("Tune's run ended", exc_info=error)
    if halt.reason and isinstance(error, StudyHalted | TuneError):  # Tune wraps most errors
        return halt.reason
    if isinstance(error, EOFError | pickle.UnpicklingError):  # a full disk cut Tune's files short
        reasons = [each[-1] for each in outcomes.failures.values()]
        return reasons[-1] if reasons else str(error)
    if not isinstance(error, TuneError | OSError):
        return ""
    reason = ([line for line in str(error).splitlines() if line.strip()] or [repr(error)])[-1]
    if NO_SPACE in reason and staging and _is_full(staging):
        session = (each.parent for each in staging.parents if each.name.startswith("session_"))
        return f"{NO_SPACE} on device: {next(session, staging)}"
    if isinstance(error, OSError):
        told = [each[-1] for each in outcomes.failures.values()]
        return told[-1] if told else reason
    return reason


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < FULL
