import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import FIFOScheduler

from darec.tuning.study.state import StudyState

ROOT = Path(__file__).parents[2]


def failed(error, tmp_path, **share):
    """A trial that Tune is about to start again."""
    told = SimpleNamespace(trial_id="a", error_file=str(tmp_path / "error.txt"), shares=[])
    (tmp_path / "error.txt").write_text(f"Failure # 1\nTraceback:\n  in a line\n{error}\n")
    told.run_metadata = SimpleNamespace(num_failures=1)
    told.placement_group_factory = SimpleNamespace(required_resources=share)
    told.update_resources = told.shares.append
    return told


def test_a_trial_that_ran_out_of_gpu_memory_gets_twice_the_share(tmp_path):
    assert callable(Trial.update_resources)
    state = StudyState(FIFOScheduler())
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    for share, wanted in ((0.25, 0.5), (0.6, 1.0)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        state.on_trial_recover(0, [], trial)
        assert trial.shares == [{"cpu": 1.0, "gpu": wanted}]
    assert state.failures["a"] == [error] * 2


def test_other_failures_and_whole_gpus_change_no_share(tmp_path):
    state = StudyState(FIFOScheduler())
    gpu, node = "torch.OutOfMemoryError: CUDA out of memory.", "ray.exceptions.OutOfMemoryError: no"
    for error, share in (("ValueError: no", 0.25), (gpu, 1.0), (node, 0.25)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        state.on_trial_recover(0, [], trial)
        assert not trial.shares
    again = StudyState(FIFOScheduler())
    again.set_state(state.get_state())
    assert again.failures == {"a": ["ValueError: no", gpu, node]}


def test_a_lost_node_is_no_failure_of_the_trials_but_ten_may_be(tmp_path):
    state, counted = StudyState(FIFOScheduler()), []
    died = "The actor died because its node has died. Node Id: 1f2e"
    known = SimpleNamespace(num_failures=0)
    for error in (died, "ValueError: no", *[died] * 11):
        trial = failed(error, tmp_path, CPU=1.0)
        trial.run_metadata, known.num_failures = known, known.num_failures + 1  # Tune's own count
        state.on_trial_recover(0, [], trial)
        counted.append(known.num_failures)
    assert counted == [0, 1, *[1] * 9, 2, 3]
    known.num_failures = 1  # of a node that was about to go Tune counts no failure
    state.on_trial_recover(0, [], trial)
    assert known.num_failures == 1


def test_the_time_that_a_search_has_run_goes_on_where_it_was_killed(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.0)
    monkeypatch.setattr("darec.tuning.state.time", clock)
    first, again = StudyState(FIFOScheduler()), StudyState(FIFOScheduler())
    first.setup()
    clock.now = 130.0
    snapshot = first.get_state()
    clock.now = 500.0  # later, elsewhere
    again.set_state(snapshot)
    again.setup()
    clock.now = 512.0
    assert again.spent_s == 42.0


SHARES = """
import json, sys, time
import ray, torch
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from darec.tuning.study.state import StudyState

class Large(tune.Trainable):
    def setup(self, config):
        self.done = 0

    def step(self):
        time.sleep(0.1)
        share = self.trial_resources.required_resources["GPU"]
        if self.config["trial"] % 2 == 0 and share < 0.5:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.done += 1
        return {"trial": self.config["trial"], "share": share, "done": self.done == 3}

    def save_checkpoint(self, folder):
        pass

    def load_checkpoint(self, folder):
        pass

    def reset_config(self, config):
        self.config, self.done = config, 0
        return True

ray.init(address="local", num_cpus=8, num_gpus=1, include_dashboard=False, log_to_driver=False)
state = StudyState(FIFOScheduler())
tuner = tune.Tuner(
    tune.with_resources(Large, {"cpu": 1, "gpu": 0.25}),
    param_space={"trial": tune.grid_search(list(range(8)))},
    tune_config=tune.TuneConfig(
        metric="trial", mode="min", scheduler=state.scheduler, reuse_actors=True,
        max_concurrent_trials=4,
    ),
    run_config=tune.RunConfig(
        storage_path=sys.argv[1], verbose=0, callbacks=[state],
        failure_config=tune.FailureConfig(max_failures=3),
    ),
)
rows = [[r.metrics["trial"], r.metrics["share"], r.error is None] for r in tuner.fit()]
print("SHARES", json.dumps([sorted(rows), sorted(map(len, state.failures.values()))]))
"""


@pytest.mark.slow
def test_tune_goes_on_with_the_larger_share(tmp_path):
    """On a GPU that Ray only counts: trials that need half of one, given a quarter, all end."""
    command = [sys.executable, "-c", SHARES, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    line = next((row for row in ended.stdout.splitlines() if row.startswith("SHARES ")), None)
    assert line, ended.stderr[-2000:]
    rows, failures = json.loads(line.removeprefix("SHARES "))
    assert rows == [[trial, 0.25 if trial % 2 else 0.5, True] for trial in range(8)]
    assert failures == [1, 1, 1, 1]
