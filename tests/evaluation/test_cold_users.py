from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from darec.benchmark.transfer import CONFIGS, informative
from darec.core.bias import Bias
from darec.core.metrics import clip
from darec.data.split import split
from darec.evaluation.cold_users import ANSWERING, evaluate_cold_users, without_target
from darec.evaluation.summary import cold_table
from darec.models import MODELS, ModelKind
from darec.models.bias import BiasConfig, BiasRecommender
from tests.winners import winner_on


def evaluated(best, pair, seed):
    return evaluate_cold_users(MODELS[best.model], best, pair, seed)


def best_of(model, pair, **changed):
    return winner_on(pair, model, **{"config": CONFIGS[model], "max_epochs": 30, **changed})


def test_no_target_rating_of_a_withheld_user_is_left(tiny_pair):
    data = split(tiny_pair).search
    withheld_U = np.arange(120) % 10 == 0
    left = without_target(data, withheld_U)
    for part in (left.training.target, left.valid):
        assert len(part) and not withheld_U[part.users].any()
    assert left.training.source is data.training.source


def test_users_are_withheld_wholly_and_the_baselines_know_items_alone(tiny_pair):
    best = best_of("shared_bias", tiny_pair)
    score = evaluated(best, tiny_pair, seed=3)
    assert score.n_users == 12 and score.n_ratings > 100 and score.seed == 3
    assert evaluated(best, tiny_pair, seed=3) == score
    assert evaluated(best, tiny_pair, seed=4).key != score.key
    useless = {"source_weight": 0.0, "reg_user": 10.0}
    alone = evaluated(best_of("shared_bias", tiny_pair, config=useless), tiny_pair, seed=3)
    assert alone.rmse == pytest.approx(alone.bias_rmse, abs=0.05) == alone.shuffled_rmse


class Chooses(BiasRecommender):
    """A user's own model whose `predict` takes `answers_from`: it records what it is asked."""

    asked: ClassVar[list[str]] = []

    def predict(self, users, items, domain="target", answers_from=None):
        if answers_from is not None:
            self.asked.append(answers_from)
        return super().predict(users, items, domain)


def test_a_users_own_model_is_asked_to_answer_from_the_source(tiny_pair):
    kind = ModelKind(BiasConfig, lambda config, training, run: Chooses(config, training))
    best = replace(best_of("shared_bias", tiny_pair, max_epochs=1), model="mine")
    score = evaluate_cold_users(kind, best, tiny_pair, seed=3)
    assert score.model == "mine" and Chooses.asked == ["source", "source"]
    shown = cold_table([score])
    assert shown.loc["mine", "RMSE"] == f"{score.rmse:.4f}" and shown.loc["mine", "seeds"] == "1"


@pytest.mark.slow
@pytest.mark.parametrize("model", ANSWERING)
def test_an_informative_source_tells_about_users_that_the_target_does_not_know(model):
    """Lower than knowing the items alone, and than beside a source of other users."""
    pair, epochs = informative(), 1 if MODELS[model].whole_fit else 30
    score = evaluated(best_of(model, pair, max_epochs=epochs), pair, seed=0)
    assert score.rmse < 0.97 * min(score.bias_rmse, score.shuffled_rmse)


def test_the_bias_of_a_withheld_user_is_zero(tiny_pair):
    data = without_target(split(tiny_pair).search, np.arange(120) < 5)
    bias = Bias.fit(data.training.target)
    users, items = np.zeros(3, np.int32), np.arange(3, dtype=np.int32)
    others = np.full(3, 1, np.int32)
    assert np.array_equal(clip(bias.predict(users, items)), clip(bias.predict(others, items)))
