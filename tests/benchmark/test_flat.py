"""Whole searches are replayed with limits that end them early."""

import numpy as np
import pytest

from darec.benchmark import flat as module
from darec.benchmark.algorithms import Curve, Searched
from darec.benchmark.flat import LIMITS, Bound, Replayed, flat
from darec.data.split import split
from darec.tuning.study.flat import EVERY, FEWEST, PAIRED
from search_spaces import SPACES


def test_a_search_ends_at_the_first_bound_below_the_limit():
    rmses = [2.0 - 0.1 * n for n in range(10)]
    whole = Searched(rmses, seconds=[10.0 * (n + 1) for n in range(10)])
    told = [Bound(4, 0.5, 1.0), Bound(6, 0.2, 1.0), Bound(8, 0.3, 1.0)]
    replayed = Replayed(whole, told, standard_error=0.4)
    at_once, later, never = (replayed.ended(limit) for limit in (2.0, 0.75, 0.5))
    assert (at_once.trials, at_once.seconds) == (4, 41.0)
    assert at_once.regret == pytest.approx(0.6)
    assert (later.trials, later.seconds) == (6, 62.0)
    assert later.regret == pytest.approx(0.4)
    assert (never.trials, never.regret, never.seconds) == (10, 0.0, 103.0)


def test_the_figures_are_those_of_the_default_search(tiny_pair, monkeypatch):
    """The RMSE is a smooth bowl, so that the bound falls and the loosest limit ends a search."""

    def curve(task, config):
        rmse = 1 + 0.1 * sum(np.log(value / 3.0) ** 2 for value in config.values())
        return Curve(lambda: None, 1, 4.0, rmses=[rmse], seconds=[1.0], ended=True)

    monkeypatch.setattr(module.Task, "curve", curve)
    trials = FEWEST + 2 * EVERY
    found = list(flat("bias", SPACES["bias"], [split(tiny_pair).search], trials, epochs=1))
    figures = {figure.name: figure for figure in found}
    names = ("trials", "seconds", "regret", "largest")
    assert list(figures) == [f"bias_{limit:.2f}_{name}" for limit in LIMITS for name in names]
    used = [figures[f"bias_{limit:.2f}_trials"].value for limit in LIMITS]
    assert used == sorted(used) and used[0] < trials and set(used) <= {20, 25, 30}
    assert f"bias_{PAIRED:.2f}_trials" in figures
    for limit in LIMITS:
        regret = figures[f"bias_{limit:.2f}_regret"]
        assert 0 <= regret.value == figures[f"bias_{limit:.2f}_largest"].value
