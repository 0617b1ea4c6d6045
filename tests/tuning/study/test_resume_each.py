"""With every scheduler and every sampler, a killed study goes on as if nothing had happened.

One trial trains at a time, so that results arrive in one order. With HyperBand six are alive, so
that it has brackets to fill and trials to pause.
"""

from dataclasses import replace

import pytest
from ray import tune

from darec.tuning.cluster.shares import Slots
from darec.tuning.durability import snapshot
from darec.tuning.study import tuner as running
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.run import run_study
from darec.tuning.trial import trainable

EPOCHS, TRIALS = 9, 10
ASHA, GP = "asha", "gp"
"""The defaults, which the long tier tests together; the others are left to the nightly one."""
RANDOM = "random"
"""The sampler of the other schedulers, which thereby test it, too."""


class Killed(Exception):
    """Ends the driver as a signal would: Tune writes no last snapshot."""


class Killer(tune.Callback):
    """Ends the driver after so many results, at the moment of a snapshot and its copy."""

    left = 0
    """Of the class, because Tune pickles its callbacks; 0: never."""

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if Killer.left:
            Killer.left -= 1
            self.now = not Killer.left

    def on_step_begin(self, iteration, trials, **info):
        if getattr(self, "now", False):
            self.now = False
            raise Killed


@pytest.fixture
def slow_motion(monkeypatch):
    """Let Tune write a snapshot after every event, and each be copied."""
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")
    monkeypatch.setattr(snapshot, "EVERY_S", 0.0)
    monkeypatch.setattr(snapshot, "SHARE", 1e9)
    loggers = running.loggers
    monkeypatch.setattr(running, "loggers", lambda *study: [*loggers(*study), Killer()])


def searched(study, settings, folder, kills=()):
    """Return what a study found; its driver is killed after each of these numbers of results."""
    place = replace(study, folder=folder, storage=str(folder))
    for count, left in enumerate([*kills, 0]):
        Killer.left = left
        try:
            rows = run_study(place, settings, resume=count > 0)
        except Killed:
            continue
    assert count == len(kills) and not left
    return [
        (row.config, row.ended, row.epochs, row.best_epoch, row.best_valid_rmse) for row in rows
    ]


def one_at_a_time(settings, alive, **changes):
    return replace(settings, slots=Slots(2.0, 0.0, alive), max_epochs=EPOCHS, **changes)


@pytest.mark.parametrize(
    "scheduler",
    [
        name if name == ASHA else pytest.param(name, marks=pytest.mark.nightly)
        for name in SCHEDULERS
    ],
)
def test_every_scheduler_decides_after_a_kill_as_it_would_have(
    scheduler, study, settings, tmp_path, slow_motion
):
    ten = replace(study, trials=TRIALS)
    alive = 6 if scheduler == "hyperband" else 1
    sampler = GP if scheduler == ASHA else RANDOM
    alone = one_at_a_time(settings, alive, scheduler=scheduler, sampler=sampler)
    undisturbed = searched(ten, alone, tmp_path / "whole")
    kills = (2, 7, 9, 11) if scheduler in ("hyperband", "median") else (2, 5, 3)
    assert searched(ten, alone, tmp_path / "killed", kills) == undisturbed


@pytest.mark.nightly
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != RANDOM])
def test_every_sampler_draws_after_a_kill_what_it_would_have(
    sampler, study, settings, tmp_path, slow_motion, monkeypatch
):
    monkeypatch.setattr(trainable, "REPORT_S", 1e9)
    ten = replace(study, trials=14 if sampler in ("tpe", "gp") else TRIALS)
    alone = one_at_a_time(settings, 1, scheduler="none", sampler=sampler)
    undisturbed = searched(ten, alone, tmp_path / "whole")
    assert searched(ten, alone, tmp_path / "killed", (4, 8)) == undisturbed
