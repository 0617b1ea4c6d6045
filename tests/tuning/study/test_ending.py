"""What ends Tune's run early is told in one line."""

import math
import pickle
from collections import namedtuple

import pytest
from ray.tune import TuneError

from darec.tuning.study import ending
from darec.tuning.study.accounts import Outcomes
from darec.tuning.study.ending import early_end, storage_fault, without_winner
from darec.tuning.study.halt import Halt, StudyHalted
from darec.tuning.study.rows import TrialRow

FULL = "Traceback (most recent call last):\n  File a\nOSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StudyHalted("a node"), "no room"),
        (TuneError("Traceback:\n  in\nKeyError: 'x'\n"), "no room"),
    ],
)
def test_the_reason_of_a_halt_comes_first(error, reason):
    halt = Halt()
    halt.reason = reason
    assert early_end(error, halt, Outcomes(max_epochs=9), None) == reason


@pytest.mark.parametrize(
    ("error", "failures", "reason"),
    [
        (TuneError("Traceback:\n  in\nKeyError: 'x'\n\n"), [], "KeyError: 'x'"),
        (TuneError(), [], "TuneError()"),
        (EOFError("Ran out of input"), [], "Ran out of input"),
        (pickle.UnpicklingError("cut"), ["OSError: full"], "OSError: full"),
        (OSError(30, "Read-only file system"), [], "[Errno 30] Read-only file system"),
        (ValueError("a fault of ours"), [], ""),
    ],
)
def test_errors_of_tune_and_of_disks_have_one_line_and_others_none(error, failures, reason):
    outcomes = Outcomes(max_epochs=9)
    outcomes.failures = {"a": failures} if failures else {}
    assert early_end(error, Halt(), outcomes, None) == reason


@pytest.mark.parametrize("error", [TuneError(FULL), OSError(28, "No space left on device")])
def test_a_full_disk_of_rays_is_named(error, tmp_path, monkeypatch):
    staging = tmp_path / "session_1" / "artifacts" / "driver_artifacts"
    staging.mkdir(parents=True)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(ending.shutil, "disk_usage", lambda folder: usage(4096))
    told = early_end(error, Halt(), Outcomes(max_epochs=9), staging)
    assert told == f"No space left on device: {tmp_path}"
    monkeypatch.setattr(ending.shutil, "disk_usage", lambda folder: usage(2**30))
    assert str(tmp_path) not in early_end(error, Halt(), Outcomes(max_epochs=9), staging)


def row(ended, *failures, epochs=0):
    return TrialRow("a", ended, epochs, 0, math.inf, {}, failures=failures)


@pytest.mark.parametrize(
    "reason",
    [
        "OSError: [Errno 28] No space left on device",
        "RuntimeError: Unable to set up cluster storage with the following settings:",
        "FileNotFoundError: [Errno 2] Failed to open '/old/study/tune/a': No such file",
        "OSError: When writing in bucket 'b': AWS Error NETWORK_CONNECTION",
    ],
)
def test_a_trial_given_up_because_of_storage_is_a_fault_of_storage(reason):
    rows = [row("completed", epochs=3), row("failed", "ValueError: x", reason)]
    assert storage_fault(rows, "/old/study") == storage_fault(rows, "s3:///old/study") == reason
    assert not storage_fault([row("completed", reason, epochs=3)], "/old/study")  # it went on
    assert not storage_fault([row("failed", reason, "ValueError: x")], "/old/study")


def test_a_time_budget_that_was_over_before_an_epoch_is_reported_with_what_helps():
    rows = [row("unfinished"), row("unfinished")]
    assert without_winner(rows, 1.0) == (
        "its time budget of 1 s ended before any trial finished an epoch; "
        "--resume continues until one has, or start anew with more --time-budget"
    )
    none = "no trial has a finite validation RMSE"
    assert without_winner(rows, math.inf) == f"{none}: unfinished"
    assert without_winner([], math.inf) == f"{none}: no trial was started"
    assert without_winner([row("failed", "ValueError: x")], 1.0) == f"{none}: ValueError: x"
    assert without_winner([row("diverged: loss is nan", epochs=1)], 1.0).startswith(none)
