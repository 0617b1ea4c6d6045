"""The cold-user task from a winner to its scores (docs/cold_users.md)."""

from dataclasses import replace

import numpy as np
import pytest

from darec.benchmark.transfer import CONFIGS, informative
from darec.core.bias import Bias
from darec.core.cold import COLD
from darec.core.config import plain
from darec.core.fit import Fit
from darec.core.metrics import clip, rmse
from darec.data.holdout import Holdout
from darec.data.split import split
from darec.evaluation.evaluate import evaluate
from darec.evaluation.summary import comparison, table, title
from darec.models import MODELS
from tests.models.common import build, config
from tests.winners import winner_on

ABLE = [name for name, kind in MODELS.items() if kind.cold_users]
WITHOUT_SOURCE = {"mean", "bias"}


def best_of(name, pair, **changed):
    given = {"config": plain(config(name)), "cold_users": 20, **changed}
    return winner_on(pair, name, **given)


def evaluated(best, pair, seed=0, **options):
    return evaluate(MODELS[best.model], best, pair, seed, seed, **options)


@pytest.mark.parametrize("name", ABLE)
def test_every_model_is_scored_on_all_ratings_of_the_test_users(name, tiny_pair):
    scores = evaluated(best_of(name, tiny_pair), tiny_pair)
    parts = split(tiny_pair, Holdout(cold_users=20))
    for score in scores:
        assert score.cold_users == 20 and score.n_test == len(parts.test)
        assert score.shuffled_rmse is not None
    first = scores[0]
    assert (first.shuffled_rmse == first.test_rmse) == (name in WITHOUT_SOURCE)
    warm, *_ = evaluated(best_of(name, tiny_pair, cold_users=None), tiny_pair)
    assert warm.key != first.key and warm.shuffled_rmse is None


def test_a_control_differs_by_what_the_model_knows_alone(tiny_pair):
    """Not by the cold policy, which predicts the cold items and knows the source."""
    pair = replace(tiny_pair, target=tiny_pair.target.take(np.arange(250)))
    for score in evaluated(best_of("mean", pair), pair):
        assert score.cold_share > 0 and score.shuffled_rmse == score.test_rmse


def test_the_baselines_know_the_items_alone(tiny_pair):
    parts = split(tiny_pair, Holdout(cold_users=20))
    training, test = parts.search.training.target, parts.test
    bias, *_ = evaluated(best_of("bias", tiny_pair), tiny_pair)
    item_means = Bias.fit(training)
    assert not item_means.user[test.users].any()
    assert bias.bias_rmse == pytest.approx(
        rmse(clip(item_means.predict(test.users, test.items)), test.values)
    )
    mean, *_ = evaluated(best_of("mean", tiny_pair), tiny_pair)
    assert mean.test_rmse == pytest.approx(mean.mean_rmse)


@pytest.mark.parametrize("name", sorted(set(ABLE) - WITHOUT_SOURCE))
def test_a_model_answers_itself_for_validation_users(name, tiny_pair):
    """What chooses an epoch is the model's own prediction, not that of the cold policy."""
    data = split(tiny_pair, Holdout(cold_users=20)).search
    fit = Fit(build(name, data.training), data)
    fit.step()
    raw = fit.model.predict(data.valid.users, data.valid.items)
    assert fit.best_rmse == pytest.approx(rmse(clip(raw), data.valid.values))


def test_a_refit_learns_from_the_validation_users(tiny_pair):
    best = best_of("shared_bias", tiny_pair)
    plainly, refitted = (evaluated(best, tiny_pair, refit=each)[0] for each in (False, True))
    assert refitted.refit and refitted.test_rmse != plainly.test_rmse
    assert refitted.valid_rmse == plainly.valid_rmse


def test_tables_say_the_task_and_show_the_control(tiny_pair):
    best = best_of("shared_bias", tiny_pair)
    scores = [score for seed in (0, 1) for score in evaluated(best, tiny_pair, seed)]
    assert title(scores) == "shared_bias on tiny, 20 % of the users cold, 2 seeds"
    assert "source shuffled" in table(scores).index
    shown = comparison(scores)
    own = [score for score in scores if score.cold == COLD]
    gain = np.mean([score.test_rmse - score.shuffled_rmse for score in own])
    assert shown.loc["shared_bias", "minus shuffled"].startswith(f"{gain:.4f} ± ")
    errors = np.mean([score.test_mae for score in own])
    assert shown.loc["shared_bias", "MAE"].startswith(f"{errors:.4f} ± ")
    assert shown.loc["bias, untuned", "RMSE"].startswith(
        f"{np.mean([score.bias_rmse for score in own]):.4f}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["shared_bias", "cmf", "cdtf", "fm_cdcf", "u_darec"])
def test_an_informative_source_tells_about_users_that_the_target_does_not_know(model):
    """Lower than with a source of other users; but for the untuned FM, than the items' means."""
    pair, epochs = informative(), 1 if MODELS[model].whole_fit else 30
    best = best_of(model, pair, config=CONFIGS[model], max_epochs=epochs)
    score, *_ = evaluated(best, pair)
    assert score.test_rmse < 0.97 * score.shuffled_rmse
    assert model == "fm_cdcf" or score.test_rmse < 0.97 * score.bias_rmse
