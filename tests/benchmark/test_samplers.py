"""The samplers are compared at equal numbers of trials."""

import math

import numpy as np
import pytest

from darec.benchmark import samplers as module
from darec.benchmark.samplers import samplers
from darec.core.recommender import DivergedError
from darec.data.split import split
from darec.tuning.study.algorithms import SAMPLERS
from search_spaces import SPACES


def test_samplers_are_held_against_random_search(tiny_pair, monkeypatch):
    monkeypatch.setattr(module, "_valid_rmse", lambda model, config, data, epochs: made(config))
    data = split(tiny_pair).search
    figures = {f.name: f for f in samplers({"bias": SPACES["bias"]}, [data, data], 20, 1)}
    assert len(figures) == len(SAMPLERS) * 2 * 3
    for name, figure in figures.items():
        guess, after = "_guess" * ("_guess" in name), name.rpartition("_")[2]
        assert figure.reference == figures[f"bias_random{guess}_after_{after}"].value
        assert figure.value >= 0 and figure.ratio >= 0
    assert figures["bias_random_after_20"].value <= figures["bias_random_after_5"].value
    assert figures["bias_gp_after_20"].ratio > 2  # a smooth bowl
    ends = [figures[f"bias_{name}_after_20"].value for name in SAMPLERS]
    assert min(ends) < 1e-3 and all(map(math.isfinite, ends))


def made(config):
    """A smooth bowl in the logarithms of both hyper-parameters."""
    return 1 + 0.1 * sum(np.log(value / 3.0) ** 2 for value in config.values())


def test_a_config_that_diverges_has_the_worst_error(tiny_pair, monkeypatch):
    def diverges(*_):
        raise DivergedError("the loss is not finite")

    data = split(tiny_pair).search
    monkeypatch.setattr(module, "trained", diverges)
    assert module._valid_rmse("bias", {}, data, 1) == data.valid.scale.range
    monkeypatch.undo()
    assert module._valid_rmse("bias", {}, data, 1) == pytest.approx(1.0, abs=0.5)
