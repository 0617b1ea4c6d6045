"""What a trial takes of a GPU: the arithmetic on a CPU, and a real measurement on a GPU."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darec.api.registry import spaces_for
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.models import MODELS
from darec.tuning.cluster import gpu_memory
from darec.tuning.cluster.gpu_memory import EPOCHS, Memory, UnknownMemoryError, measure, measured
from darec.tuning.study.request import largest_trial
from tests.gpu import needs_gpu
from tests.tuning.common import request_for

ROOT = Path(__file__).parents[3]
MIB = 2**20
TRAINED_ON_GPUS = [name for name, kind in MODELS.items() if not kind.cpu_only]


@pytest.fixture
def no_gpu(monkeypatch):
    """Run on the CPU, and report the memory of a GPU of 1000 MiB."""
    monkeypatch.setattr(gpu_memory, "Run", lambda device: Run(device="cpu"))
    told = {
        "mem_get_info": (300 * MIB, 1000 * MIB),
        "memory_reserved": 250 * MIB,
        "max_memory_reserved": 400 * MIB,
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)


def test_the_peak_counts_and_what_the_process_holds_beside_tensors(tiny_pair, tmp_path, no_gpu):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    # 700 MiB are in use now, 450 MiB of them not by tensors; the peak was 150 MiB higher
    config = largest_trial(request, EPOCHS)
    assert measure(request.kind, config, request.data) == Memory(850 * MIB, 1000 * MIB)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate`"),
    ],
)
def test_a_trial_larger_than_a_gpu_takes_all_of_it(error, tiny_pair, tmp_path, no_gpu, monkeypatch):
    def step(fit):
        raise error

    monkeypatch.setattr(Fit, "step", step)
    request = request_for("i_autorec", tiny_pair, tmp_path)
    config = largest_trial(request, EPOCHS)
    assert measure(request.kind, config, request.data) == Memory(1000 * MIB, 1000 * MIB)


@pytest.mark.parametrize(
    ("name", "joint"),
    [*((name, False) for name in TRAINED_ON_GPUS), ("u_darec", True), ("i_darec", True)],
)
def test_every_models_largest_trial_trains(name, joint, tiny_pair, tmp_path, no_gpu, monkeypatch):
    space, stage1 = spaces_for(name, "joint" if joint else "paper")
    asked = replace(
        request_for("i_autorec", tiny_pair, tmp_path),
        model=name,
        kind=MODELS[name],
        space=space,
        stage1=stage1,
    )
    ended, step = [], Fit.step
    monkeypatch.setattr(Fit, "step", lambda fit: ended.append(step(fit)))
    measure(asked.kind, largest_trial(asked, EPOCHS), asked.data)
    assert len(ended) == EPOCHS


def test_where_no_gpu_is_free_the_memory_is_unknown(tiny_pair, tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(gpu_memory, "WAIT_S", 1.0)
    request = request_for("i_autorec", tiny_pair, tmp_path)
    with pytest.raises(UnknownMemoryError, match="no whole GPU was free, or the measurement"):
        measured(request.kind, largest_trial(request, EPOCHS), request.data, 1.0, "rmse")


ALONE = """
import sys
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts
from darec.tuning.cluster.gpu_memory import measure

data = split(planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))).search
taken = measure(MODELS["i_autorec"], {"axis": "item", "hidden": int(sys.argv[1])}, data)
print(taken.trial, taken.gpu)
"""


@needs_gpu
def test_on_a_gpu_a_larger_trial_takes_more_and_all_of_it_is_seen(tiny_pair, tmp_path):
    """Each measured in a process of its own, as in a search."""
    taken = []
    for hidden in (20, 200_000):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", ALONE, str(hidden)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr[-3000:]
        taken.append([int(number) for number in ended.stdout.split()[-2:]])
    (small, gpu), (large, _) = taken
    weights = 2 * 120 * (200_000 - 20)
    assert gpu > large > small + 4 * 4 * weights  # each with its gradient and two moments, f32
