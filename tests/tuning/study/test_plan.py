from dataclasses import replace

import pytest

from darec.core.recommender import MemoryCache
from darec.errors import UserError
from darec.tuning.cluster.shares import Slots
from darec.tuning.study import plan
from darec.tuning.study.plan import describe, estimate
from darec.tuning.study.request import Budget
from darec.tuning.study.study import Settings
from tests.tuning.common import request_for

SETTINGS = Settings("tpe", "none", 4, Slots(1.0, 0.0, 2), seed=0, cache=MemoryCache())


def test_a_plan_names_data_budget_resources_time_and_place(tiny_pair, tmp_path):
    request = request_for("u_darec", tiny_pair, tmp_path)
    lines = describe(request, SETTINGS)
    starts = ["Plan: u_darec on tiny, 90 % training, seed 0", *("data", "to beat", "search")]
    starts += ["resources  2 trials at once, each 1 CPU, 0 GPU", "time"]
    starts += ["disk       checkpoints of ", f"files      {tmp_path}"]
    assert all(line.strip().startswith(start) for line, start in zip(lines, starts, strict=True))
    (search,) = [line for line in lines if line.startswith("  search")]
    assert "6 trials, after 2 x 2 of stage 1, at most 4 epochs each; tpe, none" in search


def test_many_trials_at_once_are_noted(tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    many = replace(SETTINGS, slots=Slots(1.0, 0.0, 5))
    note = "  note       with this many trials at once, the sampler has few results to learn from"
    assert note in describe(request, many) and note not in describe(request, SETTINGS)


def test_an_estimate_counts_all_studies_and_is_cut_by_the_time_budget(
    tiny_pair, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "_trial_seconds", lambda *arguments: 100.0)
    request = request_for("u_darec", tiny_pair, tmp_path)
    whole = estimate(request, SETTINGS)
    studies = 3 * plan.PER_STUDY_S + (6 + 2 + 2) * 100.0 / 2
    assert whole.expected == whole.greatest == pytest.approx(studies)
    asha = estimate(request, replace(SETTINGS, scheduler="asha"))
    assert asha.greatest == pytest.approx(studies)
    assert asha.expected == pytest.approx(3 * plan.PER_STUDY_S + (studies - 18.0) / 4)
    short = replace(request, budget=Budget(6, 2, 4, time_budget=60.0))
    assert estimate(short, SETTINGS).greatest == 60.0


def test_the_time_on_a_large_pair_is_that_of_some_users_divided_by_their_share(
    tiny_pair, tmp_path, monkeypatch
):
    request = request_for("u_darec", tiny_pair, tmp_path)
    seen = []

    def seconds(kind, data, *others):
        seen.append(len(data.training.source) + len(data.training.target))
        return 100.0

    monkeypatch.setattr(plan, "_trial_seconds", seconds)
    start = 3 * plan.PER_STUDY_S
    whole = estimate(request, SETTINGS).greatest - start
    monkeypatch.setattr(plan, "TIMED", 600)
    sampled = estimate(request, SETTINGS).greatest - start
    assert seen[-1] < seen[0] / 2 and sampled == pytest.approx(whole * seen[0] / seen[-1])
    by_lists = replace(request, metric="ndcg@10")
    assert estimate(by_lists, SETTINGS).greatest - start == whole


def test_a_second_judgement_costs_whole_trainings_in_turn(tiny_pair, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "_trial_seconds", lambda *arguments: 100.0)
    request = request_for("i_autorec", tiny_pair, tmp_path)
    whole = estimate(request, SETTINGS)
    asked = replace(request, rejudge=2)  # eight trainings
    for concurrent, turns in ((2, 4), (3, 3), (32, 1)):
        settings = replace(SETTINGS, slots=Slots(1.0, 0.0, concurrent))
        assert estimate(asked, settings).rejudge_s == turns * 100.0
    cost = estimate(asked, SETTINGS)
    assert (cost.expected, cost.greatest) == (whole.expected + 400.0, whole.greatest + 400.0)
    (told,) = [line for line in describe(asked, SETTINGS) if line.startswith("  winner")]
    assert "of the best 2, each trained again on 4 other divisions: about 7 min" in told
    for nothing in (replace(request, rejudge=1), replace(asked, budget=Budget(1, 1, 4, None))):
        assert estimate(nothing, SETTINGS).rejudge_s == 0
        assert not any(line.startswith("  winner") for line in describe(nothing, SETTINGS))


def test_a_second_judgement_trains_both_first_stages_on_each_division(
    tiny_pair, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "_trial_seconds", lambda *arguments: 100.0)
    asked = replace(request_for("u_darec", tiny_pair, tmp_path), rejudge=2)
    # eight trainings of the second stage, and eight of first stages, two at once
    assert estimate(asked, SETTINGS).rejudge_s == 4 * 100.0 + 2 * 2 * 100.0


def test_a_fixed_value_that_breaks_a_rule_is_reported_before_the_search(tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    wrong = replace(request, space=request.space.fix({"hidden": 0}))
    with pytest.raises(UserError, match=r"--fix: AutoRecConfig\.hidden must be"):
        estimate(wrong, SETTINGS)
