"""The samplers are compared at equal numbers of trials."""

import math

import numpy as np
import pytest

from darec.benchmark import sequential as module
from darec.benchmark.samplers import samplers
from darec.benchmark.sequential import Sequential
from darec.benchmark.starts import one_search, starts
from darec.core.recommender import DivergedError
from darec.data.split import split
from darec.tuning.study.algorithms import SAMPLERS
from search_spaces import SPACES


def test_samplers_are_held_against_random_search(tiny_pair, monkeypatch):
    monkeypatch.setattr(Sequential, "_valid_rmse", lambda self, config: made(config))
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


def test_a_portfolio_has_the_winners_of_the_other_pairs_and_not_its_own(tiny_pair, monkeypatch):
    """The best value is 30 on two pairs and 0.2 on the third one, where 30 is of no use."""
    best = {"a": 30.0, "b": 30.0, "c": 0.2}
    pairs = {pair: split(tiny_pair, seed=seed).search for seed, pair in enumerate(best)}
    drawn = {pair: [] for pair in best}

    def rmse(self, config):
        (pair,) = (each for each, data in pairs.items() if data is self.data)
        drawn[pair].append(config)
        return made(config, best[pair])

    monkeypatch.setattr(Sequential, "_valid_rmse", rmse)
    figures = {f.name: f for f in starts("bias", SPACES["bias"], pairs, 5, 1)}
    assert {name.removeprefix("bias_") for name in figures} == {
        f"{pair}_{what}" for pair in best for what in ("after_2", "after_5", "seconds")
    }
    winners = {
        pair: min(configs[:5], key=lambda config: made(config, best[pair]))
        for pair, configs in drawn.items()
    }
    for pair, configs in drawn.items():
        assert configs[0] == SPACES["bias"].start not in winners.values()
        portfolio = [winner for other, winner in winners.items() if other != pair]
        assert configs[5:7] == portfolio  # five trials of the guess alone, then these two
        rmses = [made(config, best[pair]) for config in configs]
        after_2 = figures[f"bias_{pair}_after_2"]
        assert after_2.value == pytest.approx(min(rmses[0], rmses[5]) - min(rmses))
        assert after_2.reference == pytest.approx(min(rmses[:2]) - min(rmses))
        seconds = figures[f"bias_{pair}_seconds"]
        assert seconds.value > 0 and seconds.ratio == seconds.reference / seconds.value


def test_the_first_stage_of_a_two_stage_model_stays_as_it_is(tiny_pair):
    space = one_search("i_darec")
    task = Sequential("i_darec", space, split(tiny_pair).search, epochs=2)
    assert list(space.space) == list(SPACES["i_darec"].space)
    stage1 = {n.removeprefix("autorec/"): v for n, v in space.fixed.items() if "autorec/" in n}
    assert stage1 == {**SPACES["i_autorec"].fixed, **SPACES["i_autorec"].start, "epochs": 50}
    first = task.train({**space.start, "beta": 0.1})
    trained = set(task.cache._values)
    second = task.train({**space.start, "beta": 0.9})
    assert trained == set(task.cache._values) and first.rmse != second.rmse


def made(config, best=3.0):
    """A smooth bowl in the logarithms of both hyper-parameters."""
    return 1 + 0.1 * sum(np.log(value / best) ** 2 for value in config.values())


def test_a_config_that_diverges_has_the_worst_error_and_none_is_trained_twice(
    tiny_pair, monkeypatch
):
    def diverges(*_):
        raise DivergedError("the loss is not finite")

    task = Sequential("bias", SPACES["bias"], split(tiny_pair).search, 1)
    with monkeypatch.context() as patched:
        patched.setattr(module, "trained", diverges)
        assert task.train({"reg_user": 2.0, "reg_item": 5.0}).rmse == task.data.valid.scale.range
    assert task.train({"reg_item": 5.0, "reg_user": 2.0}).rmse == task.data.valid.scale.range
    trial = task.train({"reg_user": 3.0, "reg_item": 5.0})
    assert trial.rmse == pytest.approx(1.0, abs=0.5) and trial.seconds > 0
