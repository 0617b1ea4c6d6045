import dataclasses

import numpy as np
import pytest

from darec.core.bias import Bias
from darec.core.center import fit_centers
from darec.core.cold import ColdRule
from darec.core.config import plain
from darec.core.lists import Ranking
from darec.core.metrics import rmse
from darec.data.ratings import DomainPair
from darec.data.split import Training, split
from darec.evaluation.evaluate import evaluate
from darec.evaluation.frame import frame
from darec.evaluation.headline import headline
from darec.evaluation.ranking import Rankings
from darec.evaluation.scores import Score
from darec.evaluation.summary import (
    BASELINES,
    INTERVAL,
    comparison,
    ranking_table,
    ranking_title,
    summarise,
    table,
    title,
    verdict,
)
from darec.models import MODELS
from tests.evaluation.made import score_of
from tests.models.common import config, fitted
from tests.models.test_leakage import rewritten
from tests.winners import winner_on


def best_of(name, pair):
    return winner_on(pair, name, config=plain(config(name)))


def evaluated(best, pair, split_seed=0, run_seed=0, **options):
    return evaluate(MODELS[best.model], best, pair, split_seed, run_seed, **options)


@pytest.mark.parametrize("name", ["bias", "i_autorec", "u_darec"])
def test_scores_stand_beside_the_baselines_on_the_same_ratings(name, tiny_pair):
    best = best_of(name, tiny_pair)
    headline, fallback, floor = evaluated(best, tiny_pair)
    assert [s.cold for s in (headline, fallback, floor)] == ["hierarchical", "fallback", "floor"]
    parts = split(tiny_pair)
    rule, test = ColdRule(parts.search.training), parts.test
    baselines = {
        "bias": Bias.fit(parts.search.training.target),
        "hierarchical": fit_centers("hierarchical", parts.search.training)["target"],
    }
    for score in (headline, fallback, floor):
        for known, baseline in baselines.items():
            raw = baseline.predict(test.users, test.items)
            error = rmse(rule.apply(raw, test.users, test.items, score.cold), test.values)
            assert getattr(score, f"{known}_rmse") == pytest.approx(error)
            assert getattr(score, f"beats_{known}") == (score.test_rmse < error)
        assert score.n_test == len(test) and 1 <= score.epoch <= 3
        assert score.searched_split
    assert fallback.warm_rmse == floor.warm_rmse
    assert (fallback.rmse_source is None) == (name == "i_autorec")
    assert (fallback.stage1_rmse is not None) == (name == "u_darec")
    if fallback.rmse_source is not None:
        both = (fallback.test_rmse**2 + fallback.rmse_source**2) ** 0.5
        assert fallback.rmse_both == pytest.approx(both)


def test_the_floor_policy_costs_what_cold_items_cost(tiny_pair):
    """Drop every training rating of one item's users: its test ratings become cold."""
    parts = split(tiny_pair)
    item = parts.test.items[0]
    training = parts.search.training
    rule = ColdRule(Training(training.source, training.target.take(training.target.items != item)))
    asked = parts.test.take(parts.test.items == item)
    raw = np.full(len(asked), 5.0, np.float32)
    assert (rule.apply(raw, asked.users, asked.items, "floor") == 1.0).all()
    for policy in ("fallback", "hierarchical"):
        assert (rule.apply(raw, asked.users, asked.items, policy) > 1.0).all()


def test_rewriting_test_ratings_changes_no_fit_and_no_epoch(tiny_pair):
    parts = split(tiny_pair)
    target = rewritten(tiny_pair.target, parts.test)
    source = rewritten(tiny_pair.source, parts.test_source)
    ids = (tiny_pair.user_ids, tiny_pair.source_item_ids, tiny_pair.target_item_ids)
    other = DomainPair(tiny_pair.name, source, target, *ids)
    best = best_of("i_autorec", tiny_pair)
    ours, theirs = (evaluated(best, pair)[0] for pair in (tiny_pair, other))
    assert (ours.valid_rmse, ours.epoch) == (theirs.valid_rmse, theirs.epoch)
    assert ours.test_rmse != theirs.test_rmse


def test_the_searched_seed_repeats_the_searched_run(tiny_pair):
    from darec.seeds import derive

    fit = fitted("i_autorec", split(tiny_pair).search, steps=3, seed=derive(0, "run"))
    score = evaluated(best_of("i_autorec", tiny_pair), tiny_pair)[0]
    assert (score.valid_rmse, score.epoch) == (fit.best_rmse, fit.best_epoch)


def test_refit_trains_on_validation_ratings_too(tiny_pair):
    best = best_of("i_autorec", tiny_pair)
    plain_, refitted = (evaluated(best, tiny_pair, refit=refit)[0] for refit in (False, True))
    assert refitted.refit and refitted.epoch == plain_.epoch
    assert refitted.test_rmse != plain_.test_rmse


def test_the_interval_is_students(tiny_pair):
    """Of 1, 2, 3: mean 2, sd 1, half width 4.3027 / sqrt 3."""
    summary = summarise([1.0, 2.0, 3.0])
    assert (summary.mean, summary.sd) == (2.0, 1.0)
    assert summary.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    half = summary.half_width
    assert summary.interval == f"{2 - half:.4f} to {2 + half:.4f}"
    assert (summarise([2.0]).short, summarise([2.0]).interval) == ("2.0000", "-")


def test_the_verdict_follows_the_mean_gap_to_the_bias_baseline(tiny_pair):
    first, second = evaluated(best_of("bias", tiny_pair), tiny_pair)[:1] * 2
    better = {"hierarchical_rmse": 0.5, "beats_hierarchical": False}
    first = dataclasses.replace(first, test_rmse=1.0, bias_rmse=1.3, beats_bias=True, **better)
    second = dataclasses.replace(second, test_rmse=1.2, bias_rmse=1.1, beats_bias=False, **better)
    loses = "loses to hierarchical_bias by 0.6000 on average, and on 2 of 2 seeds"
    seeds = "by 0.1000 on average, and on 1 of 2 seeds"
    beats = f"beats the untuned bias {seeds}, and {loses} (cold=hierarchical)"
    assert verdict([first, second]) == f"bias {beats}"
    second = dataclasses.replace(second, bias_rmse=0.7)
    assert verdict([first, second]).startswith(f"bias loses to the untuned bias {seeds}")
    first = dataclasses.replace(first, bias_rmse=1.0, beats_bias=False)
    second = dataclasses.replace(second, bias_rmse=1.2)
    assert verdict([first, second]).startswith("bias is level with the untuned bias, and loses")
    first = dataclasses.replace(first, bias_rmse=1.0 + 3e-5, beats_bias=True)
    level = "bias is level with the untuned bias, and loses"  # what would be 0.0000 in print
    assert verdict([first, second]).startswith(level)
    second = dataclasses.replace(second, bias_rmse=1.1)
    lost = "bias loses to the untuned bias by 0.0500 on average, and on 1 of 2 seeds"
    assert verdict([first, second]).startswith(lost)
    first = dataclasses.replace(first, bias_rmse=0.9, beats_bias=False)
    both = "bias loses to the untuned bias by 0.1000 on average, and on 2 of 2 seeds"
    assert verdict([first, second]).startswith(both)


def test_the_headline_names_the_best_model_and_its_distance_to_the_next_and_the_biases(tiny_pair):
    score = evaluated(best_of("bias", tiny_pair), tiny_pair)[0]
    assert score.cold == "hierarchical"

    def scores(model, *errors):
        same = {"model": model, "bias_rmse": 1.5, "hierarchical_rmse": 1.5}
        return [
            dataclasses.replace(
                score,
                **same,
                test_rmse=error,
                run_seed=seed,
                beats_bias=error < 1.5,
                beats_hierarchical=error < 1.5,
            )
            for seed, error in enumerate(errors)
        ]

    told = headline([*scores("cmf", 1.0, 1.2), *scores("fm", 1.3, 1.1), *scores("emcdr", 1.4, 1.4)])
    assert told == (
        "cmf has the lowest test RMSE, 1.1000 ± 0.1414: 0.1000 ± 0.2828 below fm, "
        "0.4000 ± 0.1414 below the hierarchical biases (cold=hierarchical)"
    )
    told = headline([*scores("cmf", 1.6, 1.7), *scores("fm", 1.8, 1.7)])
    assert "0.1500 ± 0.0707 above the hierarchical biases" in told
    told = headline([*scores("hierarchical_bias", 1.5), *scores("fm", 1.6)])
    assert told.endswith("lowest test RMSE, 1.5000: 0.1000 below fm (cold=hierarchical)")


def test_tables_have_the_scores_figures(tiny_pair):
    scores = evaluated(best_of("bias", tiny_pair), tiny_pair)
    scores += evaluated(best_of("bias", tiny_pair), tiny_pair, 1, 1)
    floors = [score for score in scores if score.cold == "floor"]
    assert title(scores) == "bias on tiny, 90 % training, 2 seeds"
    refitted = [dataclasses.replace(score, refit=True) for score in scores]
    assert title(refitted) == f"{title(scores)}, refitted with the validation ratings"
    shown = table(scores)
    assert shown.columns.tolist() == ["hierarchical", "fallback", "floor"]
    assert shown.index.name == "cold policy"
    expected = summarise([score.test_rmse for score in floors])
    assert shown.loc["test RMSE", "floor"] == expected.short
    assert shown.loc[INTERVAL, "floor"] == expected.interval
    assert "own stage 1" not in shown.index and "source RMSE" in shown.index
    rows = frame(scores)
    assert rows["test_rmse"].tolist() == [score.test_rmse for score in scores]
    assert rows["stage1_rmse"].isna().all() and rows["stage1_rmse"].dtype == float
    own = [field.name for field in dataclasses.fields(Score) if field.name != "ranking"]
    assert rows.columns.tolist()[: len(own)] == own
    assert rows["model_ndcg_at_10"].isna().tolist() == [False, True, True] * 2
    assert rows["popularity_coverage_at_10"][0] == scores[0].ranking.popularity.coverage_at_10
    assert rows["ranked_users"][0] == scores[0].ranking.users
    assert frame([]).columns.tolist() == rows.columns.tolist() and not len(frame([]))


def test_the_comparison_puts_the_best_model_first(tiny_pair):
    scores = evaluated(best_of("bias", tiny_pair), tiny_pair)
    beats = {"beats_bias": True, "beats_hierarchical": True}
    better = [
        dataclasses.replace(score, model="other", test_rmse=0.5, searched_split=False, **beats)
        for score in scores
    ]
    shown = comparison([*scores, *better])
    assert shown.index.tolist() == ["other", "bias", *BASELINES]
    assert shown.loc["other", "cold=fallback"] == "0.5000"
    assert shown.loc["other", "searched split"] == "-"
    assert shown.loc["bias", "searched split"] == shown.loc["bias", "cold=hierarchical"]
    assert shown.loc["other", "beats hierarchical"] == "1/1"
    assert shown.loc["bias, untuned", "cold=floor"] == f"{scores[2].bias_rmse:.4f}"
    assert shown.loc["bias, untuned", "trials"] == "-"


@pytest.mark.parametrize("refit", [False, True])
def test_popular_items_are_listed_without_those_of_training_and_validation(tiny_pair, refit):
    score = evaluated(best_of("bias", tiny_pair), tiny_pair, refit=refit)[0]
    parts = split(tiny_pair)
    training, known = parts.search.training.target, parts.final().target
    order = np.argsort(-(known if refit else training).item_counts, kind="stable")
    relevant = parts.test.take(parts.test.values >= 4)
    found = []
    for user in np.unique(relevant.users):
        listed = order[~np.isin(order, known.items[known.users == user])][:10]
        found.append(np.isin(relevant.items[relevant.users == user], listed).mean())
    assert score.ranking.popularity.recall_at_10 == pytest.approx(np.mean(found))
    assert score.ranking.users == len(found) and 0 < np.mean(found) < 1


def test_figures_of_lists_stand_beside_popularity_and_the_bias_baseline():
    def of(ndcg):
        return Ranking(ndcg, 0.2, 0.1)

    first, second = (
        score_of(split_seed=seed, ranking=Rankings(7 + seed, of(0.3 + seed / 10), of(0.2), of(0.1)))
        for seed in (0, 1)
    )
    better = score_of(model="other", test_rmse=0.9, beats_bias=True, beats_hierarchical=True)
    scores = [first, score_of(cold="floor"), second, better]
    shown = ranking_table(scores)
    assert shown.index.tolist() == ["other", "bias", "by popularity", "by the untuned bias"]
    assert shown.loc["bias", "NDCG@10"] == str(summarise([0.3, 0.4]).short)
    assert shown.loc["by popularity", "NDCG@10"] == "0.2000"
    assert (
        ranking_title(scores) == "lists of 10 unseen items for 7 to 8 users of tiny, 90 % training"
    )
    assert not len(ranking_table([score_of(cold="floor")])) and not len(ranking_table([]))
