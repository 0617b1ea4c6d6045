import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray.tune.experiment.trial import Trial

from darec.tuning.cluster.gpu_retry import MoreGPUMemory
from tests.tuning.trials import failed

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "error",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "torch.AcceleratorError: CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`.",
        "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate`",
    ],
)
def test_a_trial_that_ran_out_of_gpu_memory_gets_twice_the_share(error, tmp_path):
    assert callable(Trial.update_resources)
    for share, wanted in ((0.25, 0.5), (0.6, 1.0)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        MoreGPUMemory().on_trial_recover(0, [], trial)
        assert trial.shares == [{"CPU": 1.0, "GPU": wanted}]


def test_other_failures_and_whole_gpus_change_no_share(tmp_path):
    gpu, node = "torch.OutOfMemoryError: CUDA out of memory.", "ray.exceptions.OutOfMemoryError: no"
    for error, share in (("ValueError: no", 0.25), (gpu, 1.0), (node, 0.25)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        MoreGPUMemory().on_trial_recover(0, [], trial)
        assert not trial.shares


SHARES = """
import json, sys, time
import ray, torch
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from darec.tuning.cluster.gpu_retry import MoreGPUMemory
from darec.tuning.study.accounts import Outcomes

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
outcomes = Outcomes(max_epochs=9)
tuner = tune.Tuner(
    tune.with_resources(Large, {"cpu": 1, "gpu": 0.25}),
    param_space={"trial": tune.grid_search(list(range(8)))},
    tune_config=tune.TuneConfig(
        metric="trial", mode="min", scheduler=FIFOScheduler(), reuse_actors=True,
        max_concurrent_trials=4,
    ),
    run_config=tune.RunConfig(
        storage_path=sys.argv[1], verbose=0, callbacks=[outcomes, MoreGPUMemory()],
        failure_config=tune.FailureConfig(max_failures=3),
    ),
)
rows = [[r.metrics["trial"], r.metrics["share"], r.error is None] for r in tuner.fit()]
print("SHARES", json.dumps([sorted(rows), sorted(map(len, outcomes.failures.values()))]))
"""


@pytest.mark.ray
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
