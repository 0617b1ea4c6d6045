"""Which sampler a study has if none is asked for."""

from importlib.util import find_spec

import pytest

from darec.tuning.study.algorithms import MOST_FOR_GP, SAMPLERS, default_sampler


@pytest.mark.parametrize(("trials", "name"), [(1, "gp"), (MOST_FOR_GP, "gp"), (201, "tpe")])
def test_a_gaussian_process_draws_unless_trials_are_many(trials, name):
    assert default_sampler(trials) == name and name in SAMPLERS


def test_what_makes_the_gaussian_process_fast_is_installed():
    """Without it Optuna warns in every search."""
    assert find_spec("greenlet")
