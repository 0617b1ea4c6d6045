"""A reproducible search: timing, workers, kills and resuming change nothing of its outcome."""

import os
import random
import signal
import threading
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import GPSampler, RandomSampler, TPESampler
from ray import tune
from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import TrialScheduler
from safetensors.numpy import load_file

import darec
from darec.tuning.durability.scheduler_state import Resumable
from darec.tuning.study import tuner as running
from darec.tuning.study.in_order import InOrderHalving, InOrderSearch, lag_for
from darec.tuning.study.searcher import Limiter
from darec.tuning.trial.names import METRIC, TIME
from tests.tuning.assumptions import relied_on_by
from tests.tuning.study.test_resume_each import Killed, Killer, slow_motion

__all__ = ["slow_motion"]

EPOCHS, TRIALS, LAG = 12, 14, 6


class Simulation:
    """Tune's loop: trials of any speed on some workers, with the real search and scheduler."""

    def __init__(self, seed, workers, at_once, sampler=RandomSampler):
        self.random, self.workers, self.at_once = np.random.default_rng(seed), workers, at_once
        search = InOrderSearch(
            LAG,
            space={"x": FloatDistribution(0, 1)},
            metric=METRIC,
            mode="min",
            sampler=sampler(seed=0),
        )
        self.search = Limiter(search, at_once)
        self.search_alg = SimpleNamespace(searcher=self.search)
        self.scheduler = Resumable(InOrderHalving([1, 3, 9], 3))
        assert self.scheduler.set_search_properties(METRIC, "min")
        self.trials, self.due, self.epoch, self.config, self.pauses = [], {}, {}, {}, 0

    def get_trials(self):
        return self.trials

    def live(self):
        return [trial for trial in self.trials if not trial.is_finished()]

    def _set_trial_status(self, trial, status):
        trial.set_status(status)

    def draw(self):
        while len(self.trials) < TRIALS:
            config = self.search.suggest(f"{len(self.trials):02}")
            if config is None:
                return
            trial = Trial("any", stub=True, trial_id=f"{len(self.trials):02}")
            self.trials.append(trial)
            self.config[trial] = config["x"]
            self.scheduler.on_trial_add(self, trial)

    def metric(self, trial, epoch):
        x = self.config[trial]
        return 1 + (x - 0.3) ** 2 + (0.2 + 0.5 * x) / epoch

    def end(self, trial, result):
        self.search.on_trial_complete(trial.trial_id, result)
        self.due.pop(trial, None)
        trial.set_status(Trial.TERMINATED)

    def stop_trial(self, trial):
        self.scheduler.on_trial_remove(self, trial)
        epoch = self.epoch[trial]
        self.end(trial, {METRIC: self.metric(trial, epoch)})

    def run(self):
        now = 0.0
        while True:
            self.draw()
            while len(self.due) < self.workers:
                chosen = self.scheduler.choose_trial_to_run(self)
                if chosen is None or chosen in self.due:
                    break
                chosen.set_status(Trial.RUNNING)
                self.due[chosen] = now + self.random.exponential()
                assert len(self.due) <= self.at_once
            if not self.due:
                if not self.live() and len(self.trials) == TRIALS:
                    return self
                continue
            trial = min(self.due, key=self.due.get)
            now = self.due[trial]
            self.report(trial)
            if trial in self.due:
                self.due[trial] = now + self.random.exponential() * self.random.integers(1, 9)

    def report(self, trial):
        self.epoch[trial] = epoch = self.epoch.get(trial, 0) + 1
        result = {TIME: epoch, METRIC: self.metric(trial, epoch)}
        self.search.on_trial_result(trial.trial_id, result)
        if epoch == EPOCHS or (self.config[trial] > 0.9 and epoch == 5):  # it stalls
            self.scheduler.on_trial_complete(self, trial, result)
            self.end(trial, result)
            return
        decision = self.scheduler.on_trial_result(self, trial, result)
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(self, trial, result)
            self.end(trial, result)
        if decision == TrialScheduler.PAUSE:
            self.pauses += 1
            trial.set_status(Trial.PAUSED)
            del self.due[trial]

    def outcome(self):
        return [(self.config[trial], self.epoch[trial]) for trial in self.trials]


@pytest.mark.parametrize(
    "sampler", [RandomSampler, TPESampler, pytest.param(GPSampler, marks=pytest.mark.nightly)]
)
def test_speeds_and_numbers_of_workers_change_nothing(sampler):
    wanted = Simulation(0, 1, 1, sampler).run().outcome()
    assert len({epochs for _, epochs in wanted}) > 2  # some are stopped at several rungs

    @hypothesis_settings(max_examples=25)
    @given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, LAG))
    def same(seed, workers, at_once):
        assert Simulation(seed, workers, at_once, sampler).run().outcome() == wanted

    same()


def test_trials_do_wait_for_slower_ones_of_lower_numbers():
    assert any(Simulation(seed, 3, 5).run().pauses for seed in range(5))


def test_another_trial_trains_while_one_waits():
    simulation = Simulation(0, 2, 2)
    simulation.draw()
    first, second = simulation.trials
    simulation.config |= {first: 0.8, second: 0.3}  # the second one is better
    for trial in simulation.trials:
        trial.set_status(Trial.RUNNING)
    simulation.due[second] = 0.0
    simulation.report(second)
    assert second.status == Trial.PAUSED
    simulation.draw()
    assert len(simulation.trials) == 2  # nobody has looked who must wait
    assert simulation.scheduler.choose_trial_to_run(simulation) is None
    simulation.draw()
    _, _, third = simulation.trials
    third.set_status(Trial.RUNNING)
    simulation.report(first)
    assert simulation.scheduler.choose_trial_to_run(simulation) is None  # two train already
    simulation.draw()
    assert len(simulation.trials) == 3  # the second one is next
    simulation.scheduler.on_trial_complete(simulation, third, {TIME: 1, METRIC: 9.0})
    simulation.end(third, {METRIC: 9.0})
    assert simulation.scheduler.choose_trial_to_run(simulation) is second


def test_a_rung_keeps_the_lowest_third_of_what_is_known():
    halving = InOrderHalving([3], 3)
    trials = [Trial("any", stub=True, trial_id=f"{n}") for n in range(5)]
    for trial in trials:
        halving.on_trial_add(None, trial)
    said = [
        halving.on_trial_result(None, trial, {TIME: 3, METRIC: metric})
        for trial, metric in zip(trials, [2.0, 1.0, 1.5, 3.0, 0.5], strict=True)
    ]
    stop, go = TrialScheduler.STOP, TrialScheduler.CONTINUE
    assert said == [go, go, stop, stop, go]  # cutoffs: none, 2, 1.33, 1.33, 1.5
    assert halving.on_trial_result(None, trials[0], {TIME: 4, METRIC: 9.0}) == go  # no rung


def test_most_trials_are_drawn_with_outcomes_known_if_the_machine_is_not_too_large():
    lags = [lag_for(at_once, trials=50) for at_once in (1, 2, 5, 8, 16, 64)]
    assert lags == [3, 6, 15, 16, 16, 64]


def test_outcomes_are_reported_in_order_and_a_failure_is_one():
    search = Simulation(0, 1, LAG).search
    ids = [f"{n:02}" for n in range(LAG)]
    assert all(search.suggest(trial_id) for trial_id in ids)
    search.on_trial_complete("01", {METRIC: 1.0})
    assert search.suggest("06") is None  # trial 0 has not ended
    search.on_trial_complete("00", None, error=True)
    assert search.suggest("06") and search.suggest("07")
    assert search.suggest("08") is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_budget": 60.0}, "--reproducible cannot go with --time-budget, but got 60"),
        ({"trial_limit": 5.0}, "--reproducible cannot go with --trial-limit, but got 5"),
        ({"scheduler": "median"}, "needs --scheduler asha or none, but got median"),
        ({"gpus_per_trial": 1.0}, "needs --gpus-per-trial 0: a GPU does not repeat"),
    ],
)
def test_what_depends_on_timing_is_refused(tiny_pair, tmp_path, options, told):
    with pytest.raises(darec.UserError, match=told):
        darec.search("bias", tiny_pair, reproducible=True, out=tmp_path, **options)


def table(result):
    """``trials.csv`` without what differs by nature."""
    lines = pd.read_csv(result.folder / "trials.csv", dtype=str)
    return lines.drop(columns=["seconds", "cpu_s", "gpu_s", "failures"]).to_csv(index=False)


class WorkerKiller(tune.Callback):
    """Kills the process of a trial after so many results."""

    left = 0
    """Of the class, because Tune pickles its callbacks; 0: never."""

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if WorkerKiller.left:
            WorkerKiller.left -= 1
            if not WorkerKiller.left:
                os.kill(result["pid"], signal.SIGKILL)


class WorkerStaller(tune.Callback):
    """Halts the process of a trial for up to 0.3 seconds after some of its results."""

    draws: random.Random | None = None
    """Of the class, as in `WorkerKiller`; None: never."""

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if WorkerStaller.draws and WorkerStaller.draws.random() < 0.3:
            os.kill(result["pid"], signal.SIGSTOP)
            seconds = WorkerStaller.draws.uniform(0, 0.3)
            threading.Timer(seconds, goes_on, (result["pid"],)).start()


def goes_on(pid):
    with suppress(ProcessLookupError):  # it may have ended meanwhile
        os.kill(pid, signal.SIGCONT)


@pytest.mark.ray
def test_the_same_search_twice_has_the_same_files(
    cluster, tiny_pair, tmp_path, slow_motion, monkeypatch
):
    """On four processes that are slowed at random; on one; with a worker and a driver killed."""
    loggers = running.loggers
    added = [WorkerKiller(), WorkerStaller()]
    monkeypatch.setattr(running, "loggers", lambda *study: [*loggers(*study), *added])
    options = {"trials": 10, "max_epochs": 9, "reproducible": True, "fit": False}
    options |= {"fix": {"hidden": 20}, "at_once": 4}

    def found(name, cpus):
        out = tmp_path / name
        return darec.search("i_autorec", tiny_pair, out=out, cpus_per_trial=cpus, **options)

    monkeypatch.setattr(WorkerStaller, "draws", random.Random(1))
    first = found("a", 0.5)
    monkeypatch.setattr(WorkerStaller, "draws", None)
    alone = found("b", 2)
    Killer.left, WorkerKiller.left = 12, 5
    with pytest.raises(Killed):
        found("c", 1)
    assert WorkerKiller.left == 0
    options["resume"] = True
    killed = found("c", 1)
    with relied_on_by("numbered_trials"):
        assert sorted(first.trials["trial_id"]) == [f"{n:04}" for n in range(10)]
    assert table(first) == table(alone) == table(killed)
    files = [each.folder / "best.safetensors" for each in (first, alone, killed)]
    assert len({path.read_bytes() for path in files}) == 1
    all_, same, some = (
        load_file(each.folder / "valid_predictions.safetensors") for each in (first, alone, killed)
    )
    assert len(all_) == 10
    np.testing.assert_equal(same, all_)
    # a trial that is killed as it pauses, and then stopped, leaves no checkpoint
    assert len(some) >= 8 and set(killed.trials["trial_id"][:3]) <= some.keys()
    np.testing.assert_equal(some, {name: all_[name] for name in some})
