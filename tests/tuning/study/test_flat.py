"""A study ends when more trials can gain less than the validation ratings can tell."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler

from darec.core.cold import ColdRule
from darec.core.metrics import clip, rmse
from darec.data.split import split
from darec.models import MODELS
from darec.tuning.study.flat import EVERY, FEWEST, Flat, standard_error
from darec.tuning.study.run import run_study
from darec.tuning.study.searcher import SafeOptunaSearch
from darec.tuning.trial.names import METRIC
from tests.reporting import Recorder

SPACE = {"x": FloatDistribution(-1.0, 1.0)}


def metric(x):
    """The validation RMSE of a configuration."""
    return 1.0 + 0.1 * x**2


def searched(tolerance, trials=60):
    """Draw trials one after another until the search ends; return its `Flat` and their number."""
    flat = Flat(tolerance, seed=0)
    search = SafeOptunaSearch(
        flat=flat, space=dict(SPACE), metric=METRIC, mode="min", sampler=RandomSampler(0)
    )
    for count in range(trials):
        config = search.suggest(f"{count}")
        if config == search.FINISHED:
            return flat, count
        search.on_trial_complete(f"{count}", {METRIC: metric(config["x"])})
    return flat, trials


def test_a_search_ends_when_the_bound_is_below_the_tolerance_and_not_before():
    flat, count = searched(tolerance=0.01)
    assert flat.reached and FEWEST <= count < 60 and (count - FEWEST) % EVERY == 0
    assert f"gain more than {flat.bound:.4f}" in flat.told() and flat.bound < 0.01
    assert "cannot tell less than 0.0100" in flat.told()
    flat, count = searched(tolerance=0.0)
    assert not flat.reached and count == 60


def test_the_bound_holds_for_the_best_configuration_there_is():
    study, flat = optuna.create_study(sampler=RandomSampler(1)), Flat(0.0, seed=0)
    study.optimize(lambda trial: metric(trial.suggest_float("x", -1.0, 1.0)), n_trials=FEWEST)
    assert not flat.look(study)
    assert study.best_value - metric(0.0) <= flat.bound < 0.1


def test_poor_trials_do_not_widen_the_bound():
    study, flat, known = optuna.create_study(), Flat(0.0, seed=0), Flat(0.0, seed=0)
    for x in np.linspace(-1, 1, FEWEST):
        trial = optuna.trial.create_trial(params={"x": x}, distributions=SPACE, value=metric(x))
        study.add_trial(trial)
    flat.look(study)
    for trial in study.get_trials():
        trial.value = trial.value if trial.value < np.median(metric(np.linspace(-1, 1))) else 4.0
        known_trial = optuna.trial.create_trial(
            params=trial.params, distributions=SPACE, value=trial.value
        )
        study.add_trial(known_trial)
    known.look(study)
    assert known.bound < 2 * flat.bound


def test_the_standard_error_is_that_of_resampled_ratings(tiny_pair):
    data = split(tiny_pair).search
    valid, draw = data.valid, np.random.default_rng(0)
    predicted = clip(ColdRule(data.training).hierarchical.predict(valid.users, valid.items))
    picks = draw.integers(len(valid), size=(2000, len(valid)))
    resampled = [rmse(predicted[pick], valid.values[pick]) for pick in picks]
    assert standard_error(data) == pytest.approx(np.std(resampled), rel=0.1)


def test_a_study_that_is_flat_has_fewer_trials_and_says_so(study, settings):
    told = Recorder()
    flat = replace(
        study,
        model="bias",
        kind=MODELS["bias"],
        space={"reg_user": FloatDistribution(4.0, 6.0)},
        fixed={"reg_item": 5.0},
        trials=60,
        stop_when_flat=True,
    )
    rows = run_study(flat, replace(settings, max_epochs=1, reporter=told), resume=False)
    assert FEWEST <= len(rows) < 60 and all(row.ended == "completed" for row in rows)
    assert told.has("no configuration is expected to gain more than")
    assert len(run_study(flat, settings, resume=True)) == len(rows)
