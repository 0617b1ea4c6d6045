"""The best few configurations, judged again on other divisions of the same ratings."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import darec
from darec.api import search
from darec.core.fit import trained
from darec.core.recommender import Run
from darec.models import MODELS
from darec.seeds import derive
from darec.tuning.durability.heartbeat import STOP
from darec.tuning.study import rejudge
from darec.tuning.study.rejudge import affordable, rejudged
from darec.tuning.study.request import Budget
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import StudyInterrupted
from search_spaces import SPACES
from tests.models.common import config
from tests.reporting import Recorder
from tests.tuning.common import request_for


def rows_of(*epochs):
    """Trials, best first, each with its epochs and its best one."""
    return [
        TrialRow(f"{n:04}", "completed", all_, best, 0.9 + n / 100, {})
        for n, (all_, best) in enumerate(epochs)
    ]


def test_nothing_is_judged_again_unless_two_can_be_compared(study, settings):
    rows = rows_of((9, 3), (9, 0))
    for configs in (0, 1, 5):
        assert rejudged(study, rows, settings, configs) is rows


@pytest.mark.ray
def test_the_lowest_mean_on_other_divisions_wins(study, settings, monkeypatch):
    monkeypatch.setattr(rejudge, "SPLITS", 2)
    # Ray aborts the driver if a task ends while it is cancelled
    monkeypatch.setattr(rejudge.ray, "cancel", lambda answer: pytest.fail("no task is left"))
    recorder = Recorder()
    told = replace(settings, reporter=recorder)
    one_step, steps = {"learning_rate": 1e-9}, {"learning_rate": 0.02}
    configs = [config("i_autorec", **changes) for changes in (one_step, steps, steps)]
    rows = [
        replace(row, config=vars(each))
        for row, each in zip(rows_of((9, 3), (9, 3), (9, 3)), configs, strict=True)
    ]
    found = rejudged(study, rows, told, 3)  # the last two are one configuration
    assert [row.trial_id for row in found] == ["0001", "0000", "0002"]
    assert recorder.has("trial 0001 takes the place of 0000")
    means = []
    for each in configs[:2]:
        fits = []
        for n in range(2):
            data = study.data.reshuffled(derive(0, "rejudge", n))
            run = Run(derive(0, "run"))
            model = MODELS["i_autorec"].build(each, data.training, run)
            fits.append(trained(model, data, settings.max_epochs).best_rmse)
        means.append(np.mean(fits))
    assert [found[1].rejudged_rmse, found[0].rejudged_rmse] == pytest.approx(means)
    assert found[2].rejudged_rmse is None
    ((_, total, done),) = recorder.bars
    assert total == len(done) == 4

    # A trial that the scheduler stopped after one epoch is judged by one epoch.
    rows[1] = replace(rows[1], ended="stopped early", epochs=1)
    cut = {row.trial_id: row.rejudged_rmse for row in rejudged(study, rows, told, 3)}
    assert cut["0000"] == pytest.approx(means[0])
    data = [study.data.reshuffled(derive(0, "rejudge", n)) for n in range(2)]
    built = [MODELS["i_autorec"].build(configs[1], d.training, Run(derive(0, "run"))) for d in data]
    ones = [trained(model, d, 1).best_rmse for model, d in zip(built, data, strict=True)]
    assert cut["0001"] == pytest.approx(np.mean(ones)) and cut["0001"] > means[1]


@pytest.mark.ray
def test_a_second_judgement_stops_when_asked(study, settings):
    rows = rows_of((9, 3), (9, 3))
    configs = [config("i_autorec", learning_rate=rate) for rate in (0.01, 0.02)]
    rows = [replace(row, config=vars(each)) for row, each in zip(rows, configs, strict=True)]
    study.search_folder.mkdir(parents=True, exist_ok=True)
    (study.search_folder / STOP).touch()
    with pytest.raises(StudyInterrupted):
        rejudged(study, rows, settings, 2)


@pytest.mark.ray
def test_a_search_tells_of_both_judgements_and_leaves_a_whole_result(cluster, tiny_pair, tmp_path):
    recorder = Recorder()
    result = darec.search(
        "item_knn", tiny_pair, trials=6, rejudge=4, out=tmp_path, reporter=recorder
    )
    table = pd.read_csv(result.folder / "trials.csv", dtype={"trial_id": str})
    judged = table["rejudged_rmse"].notna()
    assert judged.tolist() == [True] * 4 + [False] * 2
    assert table["rejudged_rmse"][judged].is_monotonic_increasing
    assert result.best.trial_id == table["trial_id"][0] == result.trials["trial_id"].iloc[0]
    assert recorder.has("of the best 4, each trained again on 4 other divisions: about")
    assert recorder.has(f"mean validation RMSE {table['rejudged_rmse'][0]:.4f} on other divisions")
    again = darec.search("item_knn", tiny_pair, trials=6, rejudge=4, out=tmp_path, resume=True)
    assert again.best == result.best
    with pytest.raises(darec.UserError, match="--resume needs the same --rejudge"):
        darec.search("item_knn", tiny_pair, trials=6, rejudge=0, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("model", "budget", "scheduler", "configs"),
    [
        ("item_knn", Budget(39, 1, 1, None), "asha", 0),
        ("item_knn", Budget(40, 1, 1, None), "asha", 2),  # eight trainings
        ("item_knn", Budget(60, 1, 1, None), "asha", 3),
        ("item_knn", Budget(500, 1, 1, None), "asha", 5),
        ("item_knn", Budget(500, 1, 1, 60.0), "asha", 0),
        ("i_autorec", Budget(50, 1, 9, None), "none", 2),
        ("i_autorec", Budget(159, 1, 9, None), "asha", 0),
        ("i_autorec", Budget(160, 1, 9, None), "asha", 2),  # 40 whole trainings
        ("i_darec", Budget(500, 1, 9, None), "asha", 0),
        ("mean", Budget(500, 1, 1, None), "asha", 0),
    ],
)
def test_by_default_a_second_judgement_costs_a_fifth_of_the_search_at_most(
    tiny_pair, tmp_path, model, budget, scheduler, configs
):
    request = replace(request_for("i_autorec", tiny_pair, tmp_path), space=SPACES[model])
    if MODELS[model].stage1:
        request = request_for(model, tiny_pair, tmp_path)
    assert affordable(replace(request, budget=budget, scheduler=scheduler)) == configs


@pytest.mark.parametrize(
    ("options", "configs"),
    [
        ({}, 2),
        ({"rejudge": 0}, 0),
        ({"rejudge": 3}, 3),
        ({"metric": "mae"}, 0),
        ({"trial_limit": 9.0}, 0),
    ],
)
def test_a_search_that_cannot_judge_again_does_not_by_default(
    tiny_pair, tmp_path, monkeypatch, options, configs
):
    asked = []

    def fitted_to_machine(request, wanted):
        asked.append(request.rejudge)
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "connected", lambda *_, **__: nullcontext(False))
    monkeypatch.setattr(search, "fitted_to_machine", fitted_to_machine)
    with pytest.raises(KeyboardInterrupt):
        darec.search("item_knn", tiny_pair, trials=40, out=tmp_path, **options)
    assert asked == [configs]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rejudge": -1}, "--rejudge must be a whole number of at least 1, but got -1"),
        ({"rejudge": 1}, "--rejudge must be 0 or at least 2"),
        ({"rejudge": 3, "split": "temporal"}, "--rejudge needs --split random"),
    ],
)
def test_wrong_options_are_reported_at_once(tiny_pair, tmp_path, options, told):
    with pytest.raises(darec.UserError, match=told):
        darec.search("bias", tiny_pair, out=tmp_path, **options)
