"""The benchmark's GPU section, on a CPU with stand-ins."""

import itertools

import pytest

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


class Refuses:
    def eager(self, step):
        return step()

    def captured(self, step):
        def launch():
            raise RuntimeError("operation not permitted")

        return launch


class Again(Refuses):
    def captured(self, step):
        return step


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def test_models_of_one_seed_agree_and_of_two_do_not(data, monkeypatch):
    monkeypatch.setattr(gpu, "ON_GPU", ("i_autorec", "cmf"))
    same = list(gpu.agreement(data, "cpu"))
    assert [f.name for f in same] == ["cpu_against_cpu_i_autorec", "cpu_against_cpu_cmf"]
    assert all(figure.value == 0 for figure in same)

    def other_seed(model, data, device="cpu"):
        config = parse(MODELS[model].config, middle_config(model))
        return Fit(MODELS[model].build(config, data.training, Run(int(device == "other"))), data)

    monkeypatch.setattr(gpu, "middle_fit", other_seed)
    assert all(figure.ratio < 1 for figure in gpu.agreement(data, "other"))


def test_modes_are_compared_with_eager_steps_and_one_that_fails_is_said(data, monkeypatch, caplog):
    monkeypatch.setitem(backend.BACKENDS, "cpu", backend.TORCH)
    monkeypatch.setattr(gpu, "MODES", {"eager": None, "graph": Again, "compile": Refuses})
    small = {"batch_size": 7}
    monkeypatch.setattr("darec.benchmark.steps.SIZED", small)
    figures = list(gpu.modes(data, "cpu"))
    names = ["i_autorec", "u_autorec", "i_darec", "u_darec"]
    assert [f.name for f in figures] == [
        f"epoch_{n}_{m}" for n in names for m in ("eager", "graph")
    ]
    for eager, graph in zip(figures[::2], figures[1::2], strict=True):
        assert eager.ratio == 1 and graph.reference == eager.value
    assert "i_darec cannot run by compile: operation not permitted" in caplog.text


@pytest.mark.slow
def test_a_compiled_step_trains_as_an_eager_one(data, monkeypatch):
    """``torch.compile`` itself, on a CPU."""
    monkeypatch.setitem(backend.BACKENDS, "cpu", backend.TORCH)
    monkeypatch.setattr("darec.benchmark.steps.SIZED", {"batch_size": 7})
    losses = []
    for mode in ("eager", "compile"):
        with gpu.steps_run_by(mode, "cpu"):
            fit = middle_fit("i_autorec", data)
            losses.append([fit.step()["loss_rating"] for _ in range(2)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_epochs_are_held_against_their_memory_traffic(data, monkeypatch):
    monkeypatch.setattr("darec.benchmark.core.bandwidth", lambda device: 1e9)
    item, user = gpu.floors("tiny", data.training, "cpu", hidden=10)
    assert item.name == "epoch_tiny_item_bandwidth_floor"
    assert item.value > 0 and item.ratio == pytest.approx(item.reference / item.value)
    assert user.reference > 0


def test_no_figure_is_begun_after_the_time_and_the_rest_is_named(monkeypatch, caplog):
    clock = itertools.count()
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(clock))
    figures = [Figure(str(k), 1.0, "s", 1.0, 1.0) for k in range(4)]
    parts = {"first": iter(figures[:1]), "second": iter(figures[1:3]), "third": iter(figures[3:])}
    assert list(gpu.within(1.5, parts)) == figures[:2]
    assert "not measured, or not to the end: second, third" in caplog.text
    whole = {"first": iter(figures)}
    assert list(gpu.within(100, whole)) == figures


@needs_gpu
def test_the_memory_of_a_trial_is_within_the_plan(data, monkeypatch):
    monkeypatch.setattr(gpu, "ON_GPU", ("i_autorec", "u_darec", "i_cf_nade"))
    figures = list(gpu.memory(data))
    assert all(figure.value > 0 and figure.ratio >= 1 for figure in figures)
