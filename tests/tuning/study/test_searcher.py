import pytest
import torch
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from darec.tuning.private import optuna_study_of
from darec.tuning.study.algorithms import SAMPLERS
from darec.tuning.study.searcher import Limiter, SafeOptunaSearch, empty_space
from darec.tuning.trial.names import METRIC
from search_spaces import SPACES

ROW = {"training_iteration": 1}


def searcher(space=None, sampler="random"):
    space = {"x": FloatDistribution(0, 1)} if space is None else space
    return SafeOptunaSearch(space=space, metric=METRIC, mode="min", sampler=SAMPLERS[sampler](0))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_within_the_space(sampler):
    space = dict(SPACES["i_darec"].space)
    search = searcher(space, sampler)
    drawn = [search.suggest(f"t{k}") for k in range(3)]
    assert all(d.keys() == space.keys() for d in drawn) and drawn[0] != drawn[1]
    for values in drawn:  # Optuna refuses values outside the space
        create_trial(value=1.0, params=values, distributions=space)


def test_trials_are_drawn_with_one_thread_of_torch(monkeypatch):
    """The Gaussian process then draws the same trials on every machine."""
    search, seen = searcher(sampler="gp"), []
    sampler = optuna_study_of(search).sampler
    infer = sampler.infer_relative_search_space

    def noted(*arguments):
        seen.append(torch.get_num_threads())
        return infer(*arguments)

    monkeypatch.setattr(sampler, "infer_relative_search_space", noted)
    torch.set_num_threads(2)
    search.suggest("a")
    assert seen == [1] and torch.get_num_threads() == 2
    torch.set_num_threads(1)  # as the other tests have it


def test_a_model_without_hyper_parameters_is_searched_too():
    assert searcher(empty_space).suggest("a") == {}


def test_optuna_hears_no_metric_that_is_not_finite():
    search = searcher()
    search.suggest("good"), search.suggest("bad")
    search.on_trial_result("bad", {METRIC: float("nan"), **ROW})
    search.on_trial_complete("bad", {METRIC: float("nan"), **ROW})
    search.on_trial_complete("bad", {METRIC: 1.0, **ROW})
    search.on_trial_complete("good", {METRIC: 1.0, **ROW})
    states = [trial.state for trial in optuna_study_of(search).trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_a_saved_search_goes_on_where_it_was(tmp_path):
    straight, saved, again = searcher(), searcher(), searcher()
    for search in (straight, saved):
        search.suggest("a")
        search.on_trial_complete("a", {METRIC: 1.0, **ROW})
    saved.save(str(tmp_path / "state.pkl"))
    again.restore(str(tmp_path / "state.pkl"))
    again.on_trial_complete("a", {METRIC: 2.0, **ROW})  # Tune tells the end of a trial again
    assert [trial.value for trial in optuna_study_of(again).trials] == [1.0]
    assert again.suggest("b") == straight.suggest("b")


def test_a_resumed_limiter_keeps_its_own_limit():
    limiter = Limiter(searcher(), max_concurrent=7)
    limiter.set_state({"max_concurrent": 2, "live_trials": {"a"}})
    assert limiter.max_concurrent == 7 and limiter.live_trials == {"a"}


def test_a_trial_that_ends_while_it_is_paused_counts_with_its_last_result():
    search = searcher()
    search.suggest("paused"), search.suggest("lost"), search.suggest("failed")
    for name in ("paused", "failed"):
        search.on_trial_result(name, {METRIC: 2.0, **ROW})
        search.on_trial_result(name, {METRIC: 1.0, **ROW})
    search.on_trial_complete("paused")
    search.on_trial_complete("lost")
    search.on_trial_complete("failed", error=True)
    trials = optuna_study_of(search).trials
    assert [trial.value for trial in trials] == [1.0, None, None]
    assert [trial.state for trial in trials[1:]] == [TrialState.FAIL] * 2
