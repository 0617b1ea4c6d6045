"""A trial's share: by computed memory, and on GPUs by measured memory."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darec.errors import UserError
from darec.tuning.cluster.shares import Slots, Wanted
from darec.tuning.study import launch
from tests.reporting import Recorder
from tests.tuning.common import request_for

ROOT = Path(__file__).parents[3]
NODE = {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}


@pytest.fixture
def one_node(monkeypatch):
    """A cluster of one node with four CPUs and a GPU."""
    monkeypatch.setattr("darec.tuning.cluster.shares.ray.nodes", lambda: [NODE])


def test_a_share_follows_from_computed_memory_and_from_the_kind(one_node, tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    share = launch.computed_share(request, Wanted())
    assert share.memory > 2**29 and share == Slots(1.0, 0.125, 4, share.memory)
    on_cpus = replace(request, kind=replace(request.kind, cpu_only=True))
    assert launch.computed_share(on_cpus, Wanted()) == replace(share, gpus=0.0)
    large = replace(request.kind, n_weights=lambda config, training: 10**12)
    assert launch.computed_share(replace(request, kind=large), Wanted()).gpus == 1.0


def test_checkpoints_that_do_not_fit_on_the_disk_are_reported(one_node, tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    share, told = launch.computed_share(request, Wanted(gpus=0.0)), Recorder()
    assert launch.checked_share(request, Wanted(gpus=0.0), share, told) == share
    large = replace(request.kind, n_weights=lambda config, training: 10**12)
    with pytest.raises(UserError, match=r"GiB are free, but the trials .* for their checkpoints"):
        launch.checked_share(replace(request, kind=large), Wanted(gpus=0.0), share, told)


def test_a_trial_whose_weights_no_node_can_hold_is_refused(tiny_pair, tmp_path, monkeypatch):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    node = {**NODE, "Resources": {"CPU": 4.0, "memory": 2.0**28}}
    monkeypatch.setattr("darec.tuning.cluster.shares.PROCESS_BYTES", 2**20)
    monkeypatch.setattr("darec.tuning.cluster.shares.ray.nodes", lambda: [node])

    def asked(hidden):
        return replace(request, space=request.space.fix({"hidden": hidden}))

    assert launch.computed_share(asked(1000), Wanted()).memory < 2**28
    with pytest.raises(
        UserError, match=r"may take .* has 0.2 GiB for trials; --fix hidden=(\d+) fits"
    ) as e:
        launch.computed_share(asked(10**5), Wanted())
    fits = int(re.search(r"hidden=(\d+)", str(e.value))[1])
    assert launch.computed_share(asked(fits), Wanted()).memory <= 2**28
    whole = launch._memory_of(asked(fits + 1))
    assert launch._memory_of(asked(fits)) <= 2**28 < whole


SHARED = """
import sys
from dataclasses import replace
from pathlib import Path
import ray
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from darec.tuning.cluster import gpu_memory
from darec.tuning.cluster.shares import Wanted
from darec.tuning.study import launch
from tests.reporting import Recorder
from tests.tuning.common import request_for

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
pair = planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))
request = request_for("u_darec", pair, Path(sys.argv[1]))
wanted = Wanted(cpus=0.5)
computed = launch.computed_share(request, wanted)
for measure in (gpu_memory.measure, lambda *trial: gpu_memory.Memory(5 << 30, 16 << 30)):
    gpu_memory.measure, told = measure, Recorder()
    share = launch._measured_share(request, wanted, computed, told)
    print(*told.lines, computed, share, sep=chr(10))
"""


@pytest.mark.ray
@pytest.mark.skipif(torch.cuda.is_available(), reason="its first measurement fails without a GPU")
def test_a_search_takes_the_measured_share_or_where_unknown_the_computed_one(tmp_path):
    """On a GPU that Ray only counts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SHARED, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    tried, unknown, *shares, _, told, still_computed, measured_share = ended.stdout.splitlines()
    computed = "Slots(cpus=0.5, gpus=0.125, concurrent=4, memory="
    assert tried == "  memory     measuring the GPU memory of the largest trial"
    assert unknown.startswith("  memory     not measured, 0.125 GPU each as computed: ")
    assert "CUDA" in unknown or "NVIDIA" in unknown
    assert all(each.startswith(computed) for each in (*shares, still_computed))
    taken = "  memory     the largest trial takes 5.00 of a GPU's 16.0 GiB: 0.5 GPU each, 2 at once"
    assert told == taken
    assert measured_share.startswith("Slots(cpus=0.5, gpus=0.5, concurrent=2, memory=")
