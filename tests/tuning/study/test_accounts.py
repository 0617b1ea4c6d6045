import json
from types import SimpleNamespace

import pytest

from darec.tuning.study import accounts
from darec.tuning.study.accounts import Clock, Outcomes, Usage, nodes_lost, own_failures
from tests.tuning.trials import failed

NODE_DIED = "The actor died because its node has died. Node Id: 1f2e"


def test_every_failed_attempt_is_noted_with_its_reason(tmp_path):
    outcomes = Outcomes(max_epochs=9)
    errors = ["ValueError: no", "torch.OutOfMemoryError: CUDA out of memory.", NODE_DIED]
    for error in errors:
        outcomes.on_trial_recover(0, [], failed(error, tmp_path, CPU=1.0))
    again = Outcomes(max_epochs=9)
    again.set_state(outcomes.get_state())
    assert again.failures == {"a": errors} and not again.ended


def test_the_way_a_trial_ended_is_noted_until_it_starts_again(tmp_path):
    outcomes, trial = Outcomes(max_epochs=9), failed("ValueError: no", tmp_path, CPU=1.0)
    outcomes.on_trial_error(0, [], trial)
    assert outcomes.ended == {"a": "failed"} and outcomes.failures == {"a": ["ValueError: no"]}
    again = Outcomes(max_epochs=9)
    again.set_state(outcomes.get_state())
    assert again.ended == {"a": "failed"}
    again.on_trial_start(0, [], trial)
    assert not again.ended and outcomes.ended
    for last, end in [
        ({"epoch": 9}, "completed"),
        ({"epoch": 8}, "stopped early"),
        ({}, "stopped early"),
        ({"epoch": 9, "reason": "stalled"}, "stalled"),
    ]:
        trial.last_result = last
        again.on_trial_complete(0, [], trial)
        assert again.ended == {"a": end} and again.end_of("a") == end


def test_a_lost_node_is_no_failure_of_the_trials_but_ten_may_be(tmp_path):
    outcomes, counted = Outcomes(max_epochs=9), []
    known = SimpleNamespace(num_failures=0)
    for error in (NODE_DIED, "ValueError: no", *[NODE_DIED] * 11):
        trial = failed(error, tmp_path, CPU=1.0)
        trial.run_metadata, known.num_failures = known, known.num_failures + 1  # Tune's own count
        outcomes.on_trial_recover(0, [], trial)
        counted.append(known.num_failures)
    assert counted == [0, 1, *[1] * 9, 2, 3]
    known.num_failures = 1  # of a node that was about to go Tune counts no failure
    outcomes.on_trial_recover(0, [], trial)
    assert known.num_failures == 1


def test_a_silent_node_counts_as_lost():
    silent = "ray.exceptions.ActorUnavailableError: The actor is temporarily unavailable: RPC"
    assert nodes_lost([silent, "ValueError: no", NODE_DIED]) == 2
    assert own_failures([silent, "ValueError: no", NODE_DIED]) == 1


def test_the_time_that_a_search_has_run_goes_on_where_it_was_killed(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.0)
    monkeypatch.setattr(accounts, "time", clock)
    first, again = Clock(), Clock()
    first.setup()
    clock.now = 130.0
    snapshot = first.get_state()
    clock.now = 500.0  # later, elsewhere
    again.set_state(snapshot)
    again.setup()
    clock.now = 512.0
    assert again.spent_s == 42.0


def test_usage_adds_up_over_reports_and_processes():
    def report(usage, trial_id, seconds, **share):
        factory = SimpleNamespace(required_resources=share)
        trial = SimpleNamespace(trial_id=trial_id, placement_group_factory=factory)
        usage.on_trial_result(0, [], trial, {"time_this_iter_s": seconds})

    first, again = Usage(), Usage()
    report(first, "a", 2.0, CPU=2.0, GPU=0.5)
    report(first, "b", 1.0, CPU=1.0)
    again.set_state(json.loads(json.dumps(first.get_state())))
    report(again, "a", 3.0, CPU=2.0, GPU=1.0)
    assert {name: tuple(used) for name, used in again.seconds.items()} == {
        "a": pytest.approx((10.0, 4.0)),
        "b": pytest.approx((1.0, 0.0)),
    }
    assert first.seconds["a"] == pytest.approx((4.0, 1.0))
