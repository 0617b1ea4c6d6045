"""The benchmark's GPU section, on a CPU with stand-ins."""

from types import SimpleNamespace

import pytest
import torch

from darec.benchmark import gpu
from darec.benchmark.core import Figure
from darec.benchmark.steps import middle_config, middle_fit
from darec.core import backend
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import split
from darec.models import MODELS
from tests.gpu import needs_gpu


class Again:
    def eager(self, step):
        return step()

    def captured(self, step):
        return step


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def test_models_of_one_seed_agree_and_of_two_do_not(data, monkeypatch):
    (same,) = gpu.agreement("cmf", data, "cpu")
    assert same.name == "cpu_against_cpu_cmf" and same.value == 0 and same.ratio > 1

    def other_seed(model, data, device="cpu"):
        config = parse(MODELS[model].config, middle_config(model))
        return Fit(MODELS[model].build(config, data.training, Run(int(device == "other"))), data)

    monkeypatch.setattr(gpu, "middle_fit", other_seed)
    (differs,) = gpu.agreement("cmf", data, "other")
    assert differs.ratio < 1


def test_modes_are_compared_with_eager_steps(data, monkeypatch):
    monkeypatch.setitem(backend.BACKENDS, "cpu", backend.TORCH)
    monkeypatch.setattr(gpu, "MODES", {"eager": None, "graph": Again})
    monkeypatch.setattr("darec.benchmark.steps.SIZED", {"batch_size": 7})
    captured = []
    monkeypatch.setattr(Again, "captured", lambda self, step: captured.append(step) or step)
    for model in gpu.STEPPED:
        eager, graph = gpu.modes(model, data, "cpu")
        assert captured
        captured.clear()
        assert (eager.name, graph.name) == (f"epoch_{model}_eager", f"epoch_{model}_graph")
        assert eager.ratio == 1 and graph.reference == eager.value


@pytest.mark.slow
def test_a_compiled_step_trains_as_an_eager_one(data, monkeypatch):
    """``torch.compile`` itself, on a CPU."""
    monkeypatch.setitem(backend.BACKENDS, "cpu", backend.TORCH)
    monkeypatch.setattr("darec.benchmark.steps.SIZED", {"batch_size": 7})
    torch._dynamo.utils.counters.clear()
    losses = []
    for mode in ("eager", "compile"):
        with gpu.steps_run_by(mode, "cpu"):
            fit = middle_fit("i_autorec", data)
            losses.append([fit.step()["loss_rating"] for _ in range(2)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_epochs_are_held_against_their_memory_traffic(data, monkeypatch):
    monkeypatch.setattr("darec.benchmark.core.bandwidth", lambda device: 1e9)
    user, item = gpu.floors("tiny", data, "cpu", hidden=10)
    assert item.name == "epoch_tiny_item_bandwidth_floor"
    assert item.value > 0 and item.ratio == pytest.approx(item.reference / item.value)
    assert user.reference > 0


def test_no_figure_is_begun_after_the_time_and_what_fails_is_left_out(monkeypatch, caplog):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(gpu.time, "monotonic", lambda: clock.now)
    figures = [Figure(str(k), 1.0, "s", 1.0, 1.0) for k in range(5)]

    def taking(seconds, *some):
        def part():
            for figure in some:
                clock.now += seconds
                yield figure

        return part

    def fails():
        yield figures[0]
        raise RuntimeError("no kernel image")

    parts = {
        "first": fails,
        "second": taking(6, figures[1]),
        "third": taking(6, *figures[2:4]),
        "fourth": taking(0, figures[4]),
    }
    assert list(gpu.within(11, parts)) == figures[:3]
    told = ["first failed: no kernel image"]
    told += ["11 s are over: not measured, or perhaps not to the end: third, fourth"]
    assert [record.message for record in caplog.records] == told
    clock.now, names = 0.0, list(gpu.parts(quick=True))
    assert list(gpu.within(18, parts)) == figures  # each part is whole
    assert len(caplog.records) == 3 and names[0] == "agreement of cmf_unbiased"


@needs_gpu
def test_the_memory_of_a_trial_is_within_the_plan(data):
    for model in ("i_autorec", "u_darec", "i_cf_nade"):
        (figure,) = gpu.memory(model, data)
        assert figure.value > 0 and figure.ratio >= 1
