"""What ends Tune's run early is told in one line."""

import pickle
from collections import namedtuple

import pytest
from ray.tune import TuneError

from darec.tuning.study import ending
from darec.tuning.study.accounts import Outcomes
from darec.tuning.study.ending import early_end
from darec.tuning.study.halt import Halt, StudyHalted

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
    assert early_end(error, halt, Outcomes(), None) == reason


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
    outcomes = Outcomes()
    outcomes.failures = {"a": failures} if failures else {}
    assert early_end(error, Halt(), outcomes, None) == reason


@pytest.mark.parametrize("error", [TuneError(FULL), OSError(28, "No space left on device")])
def test_a_full_disk_of_rays_is_named(error, tmp_path, monkeypatch):
    staging = tmp_path / "session_1" / "artifacts" / "driver_artifacts"
    staging.mkdir(parents=True)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(ending.shutil, "disk_usage", lambda folder: usage(4096))
    told = early_end(error, Halt(), Outcomes(), staging)
    assert told == f"No space left on device: {tmp_path}"
    monkeypatch.setattr(ending.shutil, "disk_usage", lambda folder: usage(2**30))
    assert str(tmp_path) not in early_end(error, Halt(), Outcomes(), staging)
