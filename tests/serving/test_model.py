"""A model folder of every model says what evaluation says, by the ids of users and items."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

import darec
from darec.core import blend
from darec.core.cold import ColdRule
from darec.core.config import parse
from darec.core.recommender import Run
from darec.data.split import split
from darec.evaluation.training import train_again
from darec.models import MODELS, kind_of
from darec.seeds import derive
from tests.serving.conftest import searched

WITHOUT_FACTORS = {
    *("mean", "bias", "shared_bias", "hierarchical_bias", "conet", "item_knn", "stack"),
}
CANNOT_FOLD_IN = {"conet", "i_rbm", "i_cf_nade"}


@pytest.fixture(scope="module", params=[*MODELS, "stack"])
def result(request, tiny_pair, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    if request.param != "stack":
        yield searched(request.param, tiny_pair, out)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blend, "FEWEST", 10)  # the pair has 162 validation ratings
        members = [searched(name, tiny_pair, out) for name in ("shared_bias", "i_autorec")]
        yield darec.stack(members, tiny_pair, fit=False)


@pytest.fixture(scope="module")
def model(result, tiny_pair):
    return darec.load(result.fit(tiny_pair, refit="train"))


@pytest.fixture(scope="module")
def evaluated(result, tiny_pair):
    """What `darec evaluate` predicts for the test ratings of the searched split."""
    best, parts = result.best, split(tiny_pair)
    kind = kind_of(best.model)
    config, run = parse(kind.config, best.config), Run(derive(0, "run"))
    found = train_again(kind, config, best.max_epochs, parts.search, run)
    test, rule = parts.test, ColdRule(parts.search.training)
    raw = found.model.predict(test.users, test.items)
    return test, rule.apply(raw, test.users, test.items)


def test_predictions_are_those_of_the_evaluation(model, evaluated, tiny_pair):
    test, stars = evaluated
    users, items = tiny_pair.user_ids[test.users], tiny_pair.target_item_ids[test.items]
    found = model.predict(list(users), list(items), unknown="raise")
    assert found.dtype == np.float32 and np.abs(found - stars).max() <= 1e-6
    table = pd.DataFrame({"user": users, "item": items, "kept": 1})
    asked = model.predict(table)
    assert list(asked.columns) == ["user", "item", "kept", "prediction"]
    np.testing.assert_array_equal(asked["prediction"], found)


def test_recommendations_are_the_highest_raw_scores_of_unseen_items(model, tiny_pair):
    user = tiny_pair.user_ids[7]
    (scores,) = model.scores(np.array([7]))
    found = model.recommend([user], n=5)
    training = split(tiny_pair).search.training.target
    seen = training.items[training.users == 7]
    unseen = np.setdiff1d(np.arange(len(scores)), seen)
    best = unseen[np.argsort(-scores[unseen], kind="stable")[:5]]
    np.testing.assert_allclose(found["score"], scores[best])
    assert found["rank"].tolist() == [1, 2, 3, 4, 5] and set(found["user"]) == {user}
    assert not set(found["item"]) & set(tiny_pair.target_item_ids[seen])
    all_of_it = model.recommend([user], n=1000, exclude_seen=False)
    assert len(all_of_it) == len(scores) and all_of_it["item"].is_unique
    assert len(model.recommend([user], n=1000)) == len(unseen)


def test_the_best_items_have_the_predictions_of_pairs_once_clipped(model, tiny_pair):
    users = list(tiny_pair.user_ids[:20])
    found = model.recommend(users, n=4)
    stars = model.predict(list(found["user"]), list(found["item"]))
    np.testing.assert_allclose(np.clip(found["score"], 1, 5), stars, atol=2e-5)


def test_unknown_ids_follow_the_cold_policy_or_are_refused(model, tiny_pair):
    """Of an unknown user the prior's mean is taken, of an unknown item that of a cold item."""
    item = tiny_pair.target_item_ids[3]
    known = ColdRule(split(tiny_pair).search.training).hierarchical
    level, slope = known.user_U2[5]
    of_new = known.items.constants
    nothing = of_new.mean + of_new.new_item
    of_nobody = known.mean + known.items.item_I
    expected = [of_nobody[3], nothing + level + slope * of_new.new_x, nothing]
    pairs = [("nobody", item), (tiny_pair.user_ids[5], "nothing"), ("nobody", "nothing")]
    users, items = zip(*pairs, strict=True)
    np.testing.assert_allclose(model.predict(users, items), expected, rtol=1e-6)
    ranked = model.recommend(["nobody"], n=3)
    best = np.argsort(-of_nobody, kind="stable")[:3]
    assert ranked["item"].tolist() == list(tiny_pair.target_item_ids[best])
    for call in (
        lambda: model.predict(["nobody"], [item], unknown="raise"),
        lambda: model.recommend(["nobody"], unknown="raise"),
    ):
        with pytest.raises(darec.UserError, match=r"user 'nobody' is not in the model's data"):
            call()


def test_a_person_with_the_ratings_of_a_trained_user_gets_nearly_the_same(result, model, tiny_pair):
    training, items = split(tiny_pair).search.training, list(tiny_pair.target_item_ids)

    def own(row):
        """Return the ratings of a trained user as a new person gives them."""
        ids = {"source": tiny_pair.source_item_ids, "target": tiny_pair.target_item_ids}
        rated = {d: training.of(d).take(training.of(d).users == row) for d in ids}
        return {d: list(zip(ids[d][r.items], r.values, strict=True)) for d, r in rated.items()}

    if result.best.model in CANNOT_FOLD_IN:
        with pytest.raises(darec.UserError, match="cannot predict for new users"):
            model.fold_in(**own(4))
        return
    of_new = np.array([model.predict(model.fold_in(**own(row)), items) for row in range(10)])
    of_old = [model.predict([user] * len(items), items) for user in tiny_pair.user_ids[:10]]
    assert np.abs(of_new - np.array(of_old)).mean() < 0.35
    new, old = model.fold_in(**own(4), id="me"), tiny_pair.user_ids[4]
    mixed = model.recommend([old, new, old], n=3)
    assert mixed["user"].tolist() == [old] * 3 + ["me"] * 3 + [old] * 3
    assert not set(mixed["item"][3:6]) & {item for item, _ in own(4)["target"]}
    assert model.explain(new, items[0]).prediction == pytest.approx(of_new[4, 0])


@pytest.mark.parametrize("name", ["shared_bias", "cmf", "fm_cdcf", "u_darec"])
def test_users_with_source_ratings_only_are_answered_like_new_ones(name, tiny_pair, tmp_path):
    """Three users lose their target ratings; each is compared with a new user of their source."""
    lost = (2, 5, 9)
    kept = tiny_pair.target.take(~np.isin(tiny_pair.target.users, lost))
    pair = replace(tiny_pair, target=kept)
    folder = searched(name, pair, tmp_path).fit(pair, refit="train")
    by_bias, by_model = darec.load(folder), darec.load(folder, cold="source")
    items, source = list(pair.target_item_ids), split(pair).search.training.source
    for row in lost:
        user = pair.user_ids[row]
        of_user = source.take(source.users == row)
        rated = zip(pair.source_item_ids[of_user.items], of_user.values, strict=True)
        new = by_bias.fold_in(source=list(rated))
        trained = by_model.predict([user] * len(items), items)
        difference = np.abs(trained - by_model.predict([new] * len(items), items)).mean()
        # the hierarchical centre of u_darec has updated its prior once more since the trained user
        assert difference < {"shared_bias": 1e-5, "u_darec": 1e-3}.get(name, 0.4)
        assert np.abs(trained - by_bias.predict([user] * len(items), items)).max() > 1e-4
        np.testing.assert_allclose(
            np.clip(by_model.scores(np.array([row]))[0], 1, 5), trained, atol=2e-5
        )
    with pytest.raises(
        darec.UserError, match="cold must be hierarchical, fallback, floor or source"
    ):
        darec.load(folder, cold="x")


def test_a_model_that_learns_nothing_from_the_source_still_answers_as_it_is_scored(
    tiny_pair, tmp_path
):
    """In the cold-user task the biases of the target give all cold users the same: mu + b_i."""
    lost = (2, 5)
    kept = tiny_pair.target.take(~np.isin(tiny_pair.target.users, lost))
    pair = replace(tiny_pair, target=kept)
    folder = searched("bias", pair, tmp_path).fit(pair, refit="train")
    items = list(pair.target_item_ids)
    for cold, is_same in (("source", True), ("hierarchical", False)):
        model = darec.load(folder, cold=cold)
        one, other = (model.predict([pair.user_ids[row]] * len(items), items) for row in lost)
        assert np.array_equal(one, other) == is_same


def test_every_cold_policy_is_that_of_evaluation(tiny_pair, tmp_path):
    cold = 7
    pair = replace(tiny_pair, target=tiny_pair.target.take(tiny_pair.target.items != cold))
    folder = searched("bias", pair, tmp_path).fit(pair, refit="train")
    model = darec.load(folder, cold="floor")
    user, item = pair.user_ids[0], pair.target_item_ids[cold]
    assert model.predict([user, user], [item, "unknown"]).tolist() == [1.0, 1.0]
    assert model.scores(np.array([0]))[0, cold] == 1.0
    new = model.fold_in(target=[(pair.target_item_ids[0], 5.0)])
    assert model.predict([new, new], [item, "unknown"]).tolist() == [1.0, 1.0]
    rule = ColdRule(split(pair).search.training)
    stars = darec.load(folder, cold="fallback").predict([user, "nobody"], [item, "unknown"])
    np.testing.assert_allclose(stars, [rule.bias.mean + rule.bias.user[0], rule.bias.mean])
    stars = darec.load(folder).predict([user], [item])
    cell = np.array([0], np.int32), np.array([cold], np.int32)
    np.testing.assert_array_equal(stars, rule.hierarchical.predict(*cell))


def test_similar_items_and_explanations(result, model, tiny_pair):
    item, user = tiny_pair.target_item_ids[3], tiny_pair.user_ids[4]
    told = model.explain(user, item)
    parts = told.mean + told.user_bias + told.item_bias + told.model_share
    assert told.score == pytest.approx(parts) and str(told).startswith(f"{item} for {user}: ")
    assert told.prediction == pytest.approx(float(model.predict([user], [item])[0]), abs=2e-5)
    if result.best.model in WITHOUT_FACTORS:
        assert not told.nearest
        with pytest.raises(darec.UserError, match="has no factors of items to compare"):
            model.similar_items(item)
        return
    found = model.similar_items(item, n=4)
    assert len(found) == 4 and item not in set(found["item"])
    assert found["similarity"].is_monotonic_decreasing and found["similarity"].max() <= 1 + 1e-6
    assert len(told.nearest) == 5


def test_a_model_of_every_rating_knows_the_test_ratings_and_says_so(result, tiny_pair, model):
    honest = model.card
    again = darec.load(darec.fit(result, tiny_pair, refit="all"))
    card = again.card
    assert card.refit == "all" and card.counts.target_ratings == len(tiny_pair.target)
    assert card.valid_rmse == honest.valid_rmse and card.epoch == honest.epoch
    user, item = tiny_pair.user_ids[:50], tiny_pair.target_item_ids[:50]
    stars = again.predict(list(user), list(item))
    assert np.isfinite(stars).all()
    if result.best.model != "mean":
        assert np.abs(stars - model.predict(list(user), list(item))).max() > 0


def test_an_explanation_is_plain_values(model, tiny_pair):
    told = asdict(model.explain(tiny_pair.user_ids[0], tiny_pair.target_item_ids[0]))
    assert math.isfinite(json.loads(json.dumps(told))["score"])
