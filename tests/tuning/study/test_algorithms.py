from dataclasses import replace

import pytest

from darec.tuning.study.algorithms import SCHEDULERS
from darec.tuning.study.run import run_study


@pytest.mark.parametrize(
    ("scheduler", "sampler"),
    [
        ("hyperband", "qmc"),
        ("median", "gp"),
        pytest.param("none", "nsga2", marks=pytest.mark.nightly),
    ],
)
def test_every_scheduler_and_sampler_runs(scheduler, sampler, study, settings):
    rows = run_study(study, replace(settings, scheduler=scheduler, sampler=sampler), resume=False)
    assert len(rows) == study.trials and rows[0].best_epoch >= 1


@pytest.mark.parametrize("epochs", [1, 2, 4, 9, 27, 30, 100, 1000])
def test_trials_report_at_once_wherever_asha_decides(epochs):
    asha = SCHEDULERS["asha"]
    rungs = {milestone for milestone, _ in asha.make(epochs)._brackets[0]._rungs}
    assert set(asha.decides_at(epochs)) == rungs | {epochs}


def test_ashas_rungs_are_those_that_the_documents_name():
    decides_at = SCHEDULERS["asha"].decides_at
    assert sorted(decides_at(100)) == [3, 9, 27, 81, 100]
    assert sorted(decides_at(2)) == [2]


def test_the_others_decide_at_every_epoch_or_never():
    for name in ("hyperband", "median"):
        assert list(SCHEDULERS[name].decides_at(4)) == [1, 2, 3, 4]
    assert list(SCHEDULERS["none"].decides_at(4)) == [4]
