"""When trials and studies end."""

import math
import pickle

import pytest

from darec.tuning.study import stopper
from darec.tuning.study.stopper import Ends
from darec.tuning.trial.names import METRIC, TIME


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""
    now = [100.0]
    monkeypatch.setattr(stopper.time, "monotonic", lambda: now[0])
    return now


def report(epoch, rmse=1.0):
    return {TIME: epoch, METRIC: rmse}


def test_a_trial_ends_after_its_last_epoch():
    ends = Ends(3, math.inf)
    assert [ends("a", report(epoch)) for epoch in (1, 2, 3, 4)] == [False, False, True, True]
    assert not ends.stop_all() and not ends.stop_all()


def test_a_study_ends_when_its_time_is_over_also_after_a_pause(clock):
    ends = Ends(3, 10.0)
    assert not ends.stop_all()
    clock[0] += 6
    assert not ends.stop_all()
    ends = pickle.loads(pickle.dumps(ends))  # as a snapshot does
    clock[0] += 1000
    assert not ends.stop_all()
    clock[0] += 4
    assert ends.stop_all()


def test_a_study_that_waits_goes_on_until_a_trial_has_a_finite_epoch(clock):
    ends = Ends(3, 1.0, waits=True)
    for _ in range(3):
        assert not ends.stop_all()
        clock[0] += 1000
    ends("a", report(1, math.inf))
    assert not ends.stop_all()
    ends("b", report(1))
    assert ends.stop_all()
