"""A model in use on other scales: what it is told and what it says is in own units."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import darec
from darec.data.scale import Scale
from darec.serving import messages as m
from darec.serving.answers import Answers
from darec.serving.batch import predict_file
from darec.serving.folder import CARD, README
from tests.scales import on
from tests.serving.conftest import searched

SOURCE, TARGET = Scale(0.5, 5), Scale(-10, 10)
UNIT = 5


@pytest.fixture(scope="module", params=["hierarchical_bias", "u_autorec", "cmf", "u_cf_nade"])
def both(request, tiny_pair, tmp_path_factory):
    """A model of stars, and one of the same ratings on other scales."""
    pairs = tiny_pair, on(tiny_pair, SOURCE, TARGET)
    return [
        darec.load(
            searched(request.param, pair, tmp_path_factory.mktemp("out")).fit(pair, refit="train")
        )
        for pair in pairs
    ]


def own(stars):
    return TARGET.low + (np.asarray(stars, float) - 1) * UNIT


def near(found, stars):
    np.testing.assert_allclose(found, own(stars), atol=1e-4)


def test_predictions_and_standard_deviations(both, tiny_pair):
    known, other = both
    asked = [*tiny_pair.user_ids[:4], "nobody"], [*tiny_pair.target_item_ids[:4], "nothing"]
    stars, std = known.predict(*asked, return_std=True)
    found, width = other.predict(*asked, return_std=True)
    near(found, stars)
    np.testing.assert_allclose(width, UNIT * std, rtol=1e-5)
    assert found.dtype == width.dtype == np.float32
    assert ((found >= -10) & (found <= 10)).all() and (np.abs(found) > 5).any()


@pytest.mark.parametrize("bound", [0.0, 1.5])
def test_recommendations(both, tiny_pair, bound):
    users = list(tiny_pair.user_ids[:3])
    known, other = (model.recommend(users, 5, lower_bound=bound) for model in both)
    assert known["item"].tolist() == other["item"].tolist()
    near(other["score"], known["score"])
    near(both[1].scores(np.array([0])), both[0].scores(np.array([0])))


def test_a_new_person_gives_ratings_in_own_units(both, tiny_pair):
    known, other = both
    sources, targets = tiny_pair.source_item_ids[:3], tiny_pair.target_item_ids[:2]
    of_stars = known.fold_in(
        zip(sources, [1, 3, 5], strict=True), zip(targets, [1, 4], strict=True)
    )
    rated = zip(sources, [0.5, 2.75, 5], strict=True), zip(targets, [-10, 5], strict=True)
    person = other.fold_in(*rated)
    items = list(tiny_pair.target_item_ids[:6])
    near(other.predict(person, items), known.predict(of_stars, items))
    near(other.recommend([person], 4)["score"], known.recommend([of_stars], 4)["score"])


def test_ratings_outside_are_refused_by_the_scale_of_their_domain(both, tiny_pair):
    with pytest.raises(darec.UserError, match=r"must lie between 0\.5 and 5, but got 0"):
        both[1].fold_in(source=[(tiny_pair.source_item_ids[0], 0)])
    with pytest.raises(darec.UserError, match="must lie between -10 and 10, but got 11"):
        both[1].fold_in(target=[(tiny_pair.target_item_ids[0], 11)])


def test_an_explanation_adds_up_in_own_units(both, tiny_pair):
    user, item = tiny_pair.user_ids[3], tiny_pair.target_item_ids[4]
    known, other = (model.explain(user, item) for model in both)
    near([other.prediction, other.score, other.mean], [known.prediction, known.score, known.mean])
    total = other.mean + other.user_bias + other.item_bias + other.model_share
    assert total == pytest.approx(other.score, abs=1e-5)
    near([each.rating for each in other.nearest], [each.rating for each in known.nearest])
    assert "points = mean" in str(other) and "stars = mean" in str(known)


def test_files_and_the_service_say_the_same(both, tiny_pair, tmp_path):
    model, (user, item) = both[1], (tiny_pair.user_ids[0], tiny_pair.target_item_ids[0])
    (asked := tmp_path / "asked.csv").write_text(f"user,item\n{user},{item}\n")
    predict_file(model, asked, tmp_path / "found.parquet", std=True)
    (row,) = pq.read_table(tmp_path / "found.parquet").to_pylist()
    rating, std = model.predict([user], [item], return_std=True)
    assert (row["prediction"], row["std"]) == (rating[0], std[0])
    service = Answers(model, "digest")
    pairs = [m.Pair(user=user, item=item)]
    (answer,) = service.predict([m.PredictRequest(pairs=pairs, std=True)])
    assert (answer.predictions, answer.std) == (rating.tolist(), std.tolist())
    (lists,) = service.recommend([m.RecommendRequest(users=[user], n=3)])
    scores = [each.score for each in lists.recommendations[0].items]
    assert scores == pytest.approx(model.recommend([user], 3)["score"].tolist())


def test_the_card_says_the_scales(tiny_pair, tmp_path):
    pair = on(tiny_pair, SOURCE, TARGET)
    folder = searched("bias", pair, tmp_path).fit(pair, refit="train")
    card = json.loads((tmp_path / "tiny-90" / "bias" / "model" / CARD).read_text())
    assert [card[name] for name in ("lowest", "highest")] == [-10, 10]
    assert [card[name] for name in ("source_lowest", "source_highest")] == [0.5, 5]
    text = (tmp_path / "tiny-90" / "bias" / "model" / README).read_text()
    assert "| scale | target -10 to 10, source 0.5 to 5 |" in text
    assert "Predictions are points from -10 to 10" in text
    model = darec.load(folder)
    assert (model.scale, model.source_scale) == (TARGET, SOURCE)
