"""Samplers and schedulers are compared in the seconds that a plain search takes."""

import numpy as np
import pytest

from darec.benchmark import algorithms as module
from darec.benchmark.algorithms import COMPARED, SHARES, Curve, Schedulers, Searched, Trial
from darec.core.recommender import DivergedError
from darec.data.split import split
from search_spaces import SPACES


class Made:
    """A fit whose validation RMSE falls towards a level; each epoch takes a second of CPU time."""

    clock = 0.0

    def __init__(self, level, diverges_at=None):
        self.level, self.epoch, self.diverges_at = level, 0, diverges_at
        self.best_rmse, self.stalled = float("inf"), False

    def step(self):
        Made.clock += 1.0
        self.epoch += 1
        if self.epoch == self.diverges_at:
            raise DivergedError("the loss is not finite")
        self.best_rmse = self.level + 0.5 / self.epoch


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(module.time, "process_time", lambda: Made.clock)


def test_a_curve_is_trained_as_far_as_asked_and_tells_the_seconds_of_one_training():
    begun = []
    curve = Curve(lambda: begun.append(1) or Made(1.0), epochs=4, worst=4.0)
    rows = curve.rows()
    assert [next(rows), next(rows)] == [(1.5, 1.0), (1.25, 2.0)] and len(begun) == 1
    assert list(curve.rows()) == [(1.5, 1.0), (1.25, 2.0), (1 + 0.5 / 3, 3.0), (1.125, 4.0)]
    assert len(begun) == 2 and list(curve.rows())[-1] == (1.125, 4.0) and len(begun) == 2


def test_a_curve_ends_where_its_training_diverges():
    curve = Curve(lambda: Made(1.0, diverges_at=2), epochs=4, worst=4.0)
    assert list(curve.rows()) == [(1.5, 1.0), (1.5, 2.0)]
    at_once = Curve(lambda: Made(1.0, diverges_at=1), epochs=4, worst=4.0)
    assert list(at_once.rows()) == [(4.0, 1.0)]

    def diverges():
        raise DivergedError("stage 1 diverges")

    assert list(Curve(diverges, epochs=4, worst=4.0).rows()) == [(4.0, 0.0)]


def test_what_a_search_has_found_in_time():
    searched = Searched([1.2, 1.1, 1.0], [5.0, 9.0, 20.0])
    assert [searched.after(s) for s in (1.0, 5.0, 12.0, 20.0)] == [1.2, 1.2, 1.1, 1.0]
    assert searched.reach(1.1, 20.0) == 9.0 and searched.reach(0.9, 20.0) == 20.0
    assert searched.reach(1.0, 15.0) == 15.0  # too late


@pytest.mark.parametrize("names", ["asha", "median", "asha+median"])
def test_schedulers_stop_a_trial_that_is_worse_than_those_before(names):
    schedulers = Schedulers(names, epochs=20)
    for number in range(6):
        schedulers.run(Trial(f"good{number}"), Curve(lambda: Made(1.0), 20, 4.0))
    rmse, seconds = schedulers.run(Trial("bad"), Curve(lambda: Made(2.0), 20, 4.0))
    assert rmse > 2 and 1 < seconds < 20
    assert schedulers.run(Trial("better"), Curve(lambda: Made(0.5), 20, 4.0))[1] == 20


def test_trials_of_hyperband_have_a_first_rung_early_or_late_or_never():
    schedulers = Schedulers("async_hyperband", epochs=24)
    for number in range(20):
        schedulers.run(Trial(f"good{number}"), Curve(lambda: Made(1.0), 24, 4.0))
    bad = [Curve(lambda: Made(2.0), 24, 4.0) for _ in range(20)]
    ends = {schedulers.run(Trial(f"bad{n}"), curve)[1] for n, curve in enumerate(bad)}
    assert ends == {3.0, 9.0, 24.0}


def made_curves(monkeypatch, level_of):
    """Let each configuration's curve fall towards a level, by its learning rate; inf diverges."""

    def curve(task, config):
        level = level_of(config["learning_rate"])
        made = Made(level, diverges_at=1 if level == np.inf else None)
        return task.known.setdefault(repr(config), Curve(lambda: made, task.epochs, worst=4.0))

    monkeypatch.setattr(module.Task, "curve", curve)


def figures_of(data):
    found = module.algorithms("i_autorec", SPACES["i_autorec"], [data, data], 8, 20)
    return {figure.name: figure for figure in found}


def test_every_search_has_the_seconds_of_the_plain_one(tiny_pair, monkeypatch):
    made_curves(monkeypatch, lambda rate: 1.0 + abs(np.log(rate / 1e-3)) / 10)
    figures = figures_of(split(tiny_pair).search)
    assert len(figures) == len(COMPARED) * (len(SHARES) + 1)
    plain = figures["i_autorec_random_none_after_1"]
    assert plain.value == plain.reference and plain.ratio == 1
    assert figures["i_autorec_random_none_reach"].reference == 8 * 20
    for sampler, scheduler in COMPARED:
        name = f"i_autorec_{sampler}_{scheduler}"
        curve = [figures[f"{name}_after_{share:g}"].value for share in SHARES]
        assert curve == sorted(curve, reverse=True) and curve[-1] >= 0
        assert figures[f"{name}_reach"].value <= 8 * 20
    assert figures["i_autorec_random_asha_after_1"].value < plain.value


@pytest.mark.parametrize("level", [1.0, np.inf])
def test_figures_are_finite_if_no_search_is_better_or_all_trials_diverge(
    tiny_pair, monkeypatch, level
):
    made_curves(monkeypatch, lambda rate: level)
    figures = figures_of(split(tiny_pair).search)
    assert all(np.isfinite([f.value, f.reference, f.ratio]).all() for f in figures.values())
    assert figures["i_autorec_tpe_asha_after_1"].ratio == 1


def test_a_warm_start_tries_the_winners_of_the_other_pairs_first(tiny_pair, monkeypatch):
    """The best rate is 1e-3 on two pairs and 1e-4 on the third one."""
    best = {"a": 1e-3, "b": 1e-3, "c": 1e-4}
    pairs = {name: [split(tiny_pair, seed=n).search] for n, name in enumerate(best)}
    drawn = {name: [] for name in best}

    def curve(task, config):
        (pair,) = (name for name, (data,) in pairs.items() if data is task.data)
        drawn[pair].append(config["learning_rate"])
        level = 1.0 + abs(np.log(config["learning_rate"] / best[pair])) / 10
        return Curve(lambda: Made(level), task.epochs, worst=4.0)

    monkeypatch.setattr(module.Task, "curve", curve)
    figures = list(module.warm_start("i_autorec", SPACES["i_autorec"], pairs, 8, 20))
    firsts, figures = figures[1::2], figures[::2]
    assert [figure.name for figure in figures] == [f"i_autorec_{p}_warm_start" for p in best]
    assert all(20 <= first.reference <= 8 * 20 for first in firsts)
    winners = {
        pair: min(rates[:8], key=lambda rate: abs(np.log(rate / best[pair])))
        for pair, rates in drawn.items()
    }
    for figure, (pair, rates) in zip(figures, drawn.items(), strict=True):
        assert rates[8:10] == [winner for other, winner in winners.items() if other != pair]
        assert figure.reference == 8 * 20 and figure.ratio == figure.reference / figure.value
