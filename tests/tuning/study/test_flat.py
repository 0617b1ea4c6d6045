"""A study ends when more trials can gain less than the validation ratings can tell."""

import signal
from dataclasses import replace
from functools import partial

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler

import darec
from darec.core.cold import ColdRule
from darec.core.metrics import clip, rmse
from darec.data.split import split
from darec.models import MODELS
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.flat import EVERY, FEWEST, Flat, standard_error
from darec.tuning.study.in_order import InOrderSearch
from darec.tuning.study.run import run_study
from darec.tuning.study.searcher import SafeOptunaSearch
from darec.tuning.study.study import StudyInterrupted
from darec.tuning.study.tuner import make_tuner
from darec.tuning.trial.names import METRIC
from tests.reporting import Recorder
from tests.scales import SCALES, on

SPACE = {"x": FloatDistribution(-1.0, 1.0)}
KINDS = [SafeOptunaSearch, partial(InOrderSearch, 3)]


def metric(x):
    """The validation RMSE of a configuration."""
    return 1.0 + 0.1 * x**2


def new_search(kind, tolerance):
    flat, sampler = Flat(tolerance, seed=0), RandomSampler(0)
    return kind(flat=flat, space=dict(SPACE), metric=METRIC, mode="min", sampler=sampler)


def drawn(search, first=0, last=60):
    """Draw trials one after another; return how many there are when the search has ended."""
    for count in range(first, last):
        config = search.suggest(f"{count}")
        if config == search.FINISHED:
            return count
        search.on_trial_complete(f"{count}", {METRIC: metric(config["x"])})
    return last


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_ends_when_the_bound_is_below_the_tolerance_and_not_before(kind):
    search = new_search(kind, tolerance=0.01)
    count = drawn(search)
    assert search.flat.reached and FEWEST <= count < 60
    assert f"by at most {search.flat.bound:.4f}" in search.flat.ending_line()
    assert search.flat.bound < 0.01 and "two trials is 0.0100" in search.flat.ending_line()
    assert search.suggest("again") == search.FINISHED
    never = new_search(kind, tolerance=0.0)
    assert drawn(never) == 60 and not never.flat.reached


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killed_at", [FEWEST - 1, FEWEST + EVERY - 1])
def test_a_search_that_is_read_back_ends_at_the_same_trial(kind, killed_at, tmp_path):
    whole = drawn(new_search(kind, tolerance=0.001))
    assert killed_at < whole < 60
    search, again = (new_search(kind, tolerance=0.001) for _ in range(2))
    drawn(search, 0, killed_at)
    search.save(str(tmp_path / "search"))
    again.restore(str(tmp_path / "search"))
    assert drawn(again, killed_at) == whole


def test_the_bound_holds_for_the_best_configuration_there_is():
    study, flat = optuna.create_study(sampler=RandomSampler(1)), Flat(0.0, seed=0)
    study.optimize(lambda trial: metric(trial.suggest_float("x", -1.0, 1.0)), n_trials=FEWEST)
    assert not flat.look(study)
    assert study.best_value - metric(0.0) <= flat.bound < 0.1


def test_poor_trials_do_not_widen_the_bound():
    bounds, xs = [], np.linspace(-1, 1, FEWEST)
    half = np.median(metric(xs))
    for worst in (metric(1.0), 4.0):
        study, flat = optuna.create_study(), Flat(0.0, seed=0)
        for x in xs:
            value = min(metric(x), worst) if metric(x) < half else worst
            study.add_trial(
                optuna.trial.create_trial(params={"x": x}, distributions=SPACE, value=value)
            )
        flat.look(study)
        bounds.append(flat.bound)
    assert bounds[1] == pytest.approx(bounds[0])


@pytest.mark.parametrize("name", [None, "0-100"])
def test_the_standard_error_is_that_of_resampled_ratings(name, tiny_pair):
    pair = tiny_pair if name is None else on(tiny_pair, target=SCALES[name])
    data, unit = split(pair).search, pair.target.scale.unit
    valid, draw = data.valid, np.random.default_rng(0)
    predicted = clip(ColdRule(data.training).hierarchical.predict(valid.users, valid.items))
    picks = draw.integers(len(valid), size=(2000, len(valid)))
    resampled = [unit * rmse(predicted[pick], valid.values[pick]) for pick in picks]
    assert standard_error(data) == pytest.approx(np.std(resampled), rel=0.1)


@pytest.fixture
def flat_study(study):
    """A study of biases whose trials differ little, so that it is flat at the first look."""
    space, fixed = {"reg_user": FloatDistribution(4.0, 4.1)}, {"reg_item": 5.0}
    kind = MODELS["bias"]
    return replace(
        study, model="bias", kind=kind, space=space, fixed=fixed, trials=60, stop_when_flat=True
    )


def test_a_flat_study_has_fewer_trials_says_so_and_does_not_go_on(flat_study, settings):
    settings = replace(settings, max_epochs=1, reporter=(told := Recorder()))
    rows = run_study(flat_study, settings, resume=False)
    assert FEWEST <= len(rows) < FEWEST + EVERY
    assert all(row.ended == "completed" for row in rows)
    assert told.has("more trials can lower the validation RMSE by at most")
    assert len(run_study(flat_study, settings, resume=True)) == len(rows)


def test_a_flat_study_whose_last_trials_are_interrupted_is_resumed(
    flat_study, settings, monkeypatch
):
    # Four trials on two CPUs: when the study is flat, one at least has not yet begun.
    settings = replace(settings, max_epochs=1, slots=Slots(1.0, 0.0, 4))
    look, at = Flat.look, []

    def interrupted(flat, known):
        if look(flat, known) and not at:
            at.append(len(known.trials))
            signal.raise_signal(signal.SIGINT)
        return flat.reached

    monkeypatch.setattr(Flat, "look", interrupted)
    with pytest.raises(StudyInterrupted):
        run_study(flat_study, settings, resume=False)
    rows = run_study(flat_study, settings, resume=True)
    assert len(rows) == at[0] and all(row.ended == "completed" for row in rows)


def test_a_study_that_draws_nothing_is_never_flat(flat_study, settings):
    nothing = replace(flat_study, space={}, fixed={"reg_user": 4.0, "reg_item": 5.0})
    for asked, is_flat in ((nothing, False), (flat_study, True)):
        tuner = make_tuner(asked, settings, resume=False)
        search = tuner._local_tuner._tune_config.search_alg.searcher
        assert (search.flat is not None) == is_flat


@pytest.mark.ray
def test_both_stages_may_end_early_and_a_resumed_search_must_ask_for_the_same(
    cluster, tiny_pair, tmp_path, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        "darec.tuning.study.protocol.run_study",
        lambda study, *_: seen.append(study.stop_when_flat) or 1 / 0,
    )
    options = {"trials": 30, "stage1_trials": 30, "out": tmp_path, "stop_when_flat": True}
    recorder = Recorder()
    for model in ("u_darec", "bias"):
        with pytest.raises(ZeroDivisionError):
            darec.search(model, tiny_pair, reporter=recorder, **options)
    assert seen == [True, True]
    assert recorder.has("a study ends when more trials can gain next to nothing")
    with pytest.raises(darec.UserError, match="needs the same --stop-when-flat"):
        darec.search("bias", tiny_pair, resume=True, **{**options, "stop_when_flat": False})
