"""What a trial takes of a GPU: the arithmetic, and the way there; on a GPU, the real thing."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.models import MODELS
from darec.tuning import memory
from darec.tuning.cluster.gpu_memory import (
    EPOCHS,
    Memory,
    UnknownError,
    largest_trial,
    measure,
    measured,
)
from search_spaces import narrowed
from tests.tuning.study.test_study import request_for

ROOT = Path(__file__).parents[2]
MIB = 2**20
TRAINED_ON_GPUS = [name for name, kind in MODELS.items() if not kind.cpu_only]


@pytest.fixture
def no_gpu(monkeypatch):
    """What is to run on a GPU runs here; its memory is as a GPU of 1000 MiB might tell it."""
    monkeypatch.setattr(memory, "Run", lambda device: Run(device="cpu"))
    told = {
        "mem_get_info": (300 * MIB, 1000 * MIB),
        "memory_reserved": 250 * MIB,
        "max_memory_reserved": 400 * MIB,
    }
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)


def test_the_peak_counts_and_what_the_process_holds_beside_tensors(tiny_pair, tmp_path, no_gpu):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    # 700 MiB are in use now, 450 of them no tensors; at the peak, 150 MiB more were
    assert measure("i_autorec", largest_trial(request), request.data) == Memory(
        850 * MIB, 1000 * MIB
    )


def test_a_trial_larger_than_a_gpu_takes_all_of_it(tiny_pair, tmp_path, no_gpu, monkeypatch):
    def step(fit):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Fit, "step", step)
    request = request_for("i_autorec", tiny_pair, tmp_path)
    assert measure("i_autorec", largest_trial(request), request.data) == Memory(
        1000 * MIB, 1000 * MIB
    )


@pytest.mark.parametrize(
    ("name", "joint"),
    [*((name, False) for name in TRAINED_ON_GPUS), ("u_darec", True), ("i_darec", True)],
)
def test_every_models_largest_trial_trains(name, joint, tiny_pair, tmp_path, no_gpu, monkeypatch):
    space, stage1 = narrowed(name, MODELS[name].stage1, joint, [])
    asked = replace(request_for("i_autorec", tiny_pair, tmp_path), model=name)
    ended, step = [], Fit.step
    monkeypatch.setattr(Fit, "step", lambda fit: ended.append(step(fit)))
    measure(name, largest_trial(replace(asked, space=space, stage1=stage1)), asked.data)
    assert len(ended) == EPOCHS


def test_darecs_largest_trial_trains_the_largest_stage_1(tiny_pair, tmp_path):
    values = largest_trial(request_for("u_darec", tiny_pair, tmp_path))
    assert values["autorec"]["hidden"] == 24 and values["autorec"]["epochs"] == EPOCHS
    assert (values["extractor"], values["pyramid"], values["batch_size"]) == (500, 2.0, 256)
    assert values["learning_rate"] == values["mu"] == 1e-4


def test_where_no_gpu_is_free_the_memory_is_unknown(tiny_pair, tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(memory, "WAIT_S", 1.0)
    with pytest.raises(UnknownError, match="no whole GPU was free, or done, within 1 s"):
        measured(request_for("i_autorec", tiny_pair, tmp_path), cpus=1.0)


SHARED = """
import sys
from pathlib import Path
import ray
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from darec.tuning import launch, memory
from darec.tuning.study.launch import Wanted
from tests.tuning.study.test_study import request_for

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
pair = planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))
request = request_for("u_darec", pair, Path(sys.argv[1]))
wanted = Wanted(cpus=0.5, gpus=None, at_once=None, joined=False)
computed = launch.computed_slots(request, wanted)
for measure in (memory.measure, lambda *trial: memory.Memory(5 << 30, 16 << 30)):
    memory.measure = measure
    print(computed, launch._by_measured_memory(request, wanted, computed, print))
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="its first measurement fails without a GPU")
def test_a_search_takes_the_measured_share_or_where_unknown_the_computed_one(tmp_path):
    """On a GPU that Ray only counts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHARED, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    tried, unknown, shares, _, told, measured_shares = ended.stdout.splitlines()
    computed = "Slots(cpus=0.5, gpus=0.125, concurrent=4)"
    assert tried == "  memory     trying what the largest trial takes of a GPU"
    assert unknown.startswith("  memory     not measured, 0.125 GPU each as computed: ")
    assert "CUDA" in unknown or "NVIDIA" in unknown
    assert shares == f"{computed} {computed}"
    taken = "  memory     the largest trial takes 5.00 of a GPU's 16.0 GiB: 0.5 GPU each, 2 at once"
    assert told == taken
    assert measured_shares == f"{computed} Slots(cpus=0.5, gpus=0.5, concurrent=2)"


ALONE = """
import sys
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from darec.tuning.cluster.gpu_memory import measure

data = split(planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))).search
taken = measure("i_autorec", {"axis": "item", "hidden": int(sys.argv[1])}, data)
print(taken.trial, taken.gpu)
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
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
