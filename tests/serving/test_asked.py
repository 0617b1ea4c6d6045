"""What callers may pass to a loaded model: any sequence, and one line for everything else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import darec
from tests.serving.conftest import searched

V1 = Path(__file__).parent / "format1" / "model"


@pytest.fixture(scope="module")
def model():
    return darec.load(V1)


@pytest.fixture(scope="module")
def ids(model):
    return list(model.user_ids.ids[:3]), list(model.item_ids.ids[:3])


def test_any_sequence_is_read_in_its_order(model, ids):
    users, items = ids
    expected = model.predict(users, items)
    lists = model.recommend(users, 2)
    for shape in (
        tuple,
        np.array,
        iter,
        lambda some: pd.Series(some, index=[2, 0, 1]),
        lambda some: pd.Index(some),
        lambda some: (each for each in some),
    ):
        np.testing.assert_array_equal(model.predict(shape(users), shape(items)), expected)
        pd.testing.assert_frame_equal(model.recommend(shape(users), 2), lists)
    assert len(model.predict([], [])) == 0 and len(model.recommend([])) == 0


def test_one_new_person_stands_for_all_pairs_and_for_a_list(model, ids):
    items = ids[1]
    me = model.fold_in(target=[(items[0], 5.0)])
    np.testing.assert_array_equal(model.predict(me, items), model.predict([me] * 3, items))
    pd.testing.assert_frame_equal(model.recommend(me, 2), model.recommend([me], 2))
    assert "scores_J" not in repr(me) and repr(model).startswith("<i_darec on format1: 20 users")


def test_ratings_come_as_pairs_a_mapping_or_a_table(model, ids):
    items, stars = ids[1], [5.0, 1.0, 3.0]
    expected = model.fold_in(target=list(zip(items, stars, strict=True))).scores_J
    table = pd.DataFrame({"item": items, "rating": stars}, index=[7, 7, 1])
    for given in (zip(items, stars, strict=True), dict(zip(items, stars, strict=True)), table):
        np.testing.assert_array_equal(model.fold_in(target=given).scores_J, expected)
    more = [*zip(items, stars, strict=True), ("newer", 4.0)]
    np.testing.assert_array_equal(model.fold_in(target=more, unknown="skip").scores_J, expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, u, i: m.recommend(u[0]), "users must be a sequence, but got one: write"),
        (lambda m, u, i: m.predict(u[0], i[0]), "items must be a sequence, but got one"),
        (lambda m, u, i: m.predict(None, None), "items must be a sequence, but got a NoneType"),
        (lambda m, u, i: m.recommend(None), "users must be a sequence, but got a NoneType"),
        (lambda m, u, i: m.recommend({*u}), "users must be a sequence, but got a set"),
        (lambda m, u, i: m.recommend(pd.DataFrame({"user": u})), "but got a DataFrame"),
        (lambda m, u, i: m.predict([1], i[:1]), "id of each user must be a string, but got 1"),
        (lambda m, u, i: m.predict(u[:1], [float("nan")]), "each item must be a string, but got n"),
        (lambda m, u, i: m.recommend([["a"]]), r"must be a string, but got \['a'\]"),
        (lambda m, u, i: m.predict(u, i[:2]), "one item for each of 3 users, but got 2"),
        (lambda m, u, i: m.predict(u, i, unknown="rise"), "unknown must be cold or raise"),
        (lambda m, u, i: m.predict(pd.DataFrame({"user": u, "item": i}), i), "either a table or"),
        (lambda m, u, i: m.predict(pd.DataFrame({"user": u})), "must have the column item, but"),
        (lambda m, u, i: m.recommend(u, 0), "n must be a positive whole number, but got 0"),
        (lambda m, u, i: m.recommend(u, True), "n must be a positive whole number, but got True"),
        (lambda m, u, i: m.recommend(u, lower_bound=-1), "at least 0, but got -1"),
        (lambda m, u, i: m.recommend(u, lower_bound=float("nan")), "finite number of standard"),
        (lambda m, u, i: m.explain(u[0], i[0], -1), "n must be a positive whole number"),
        (lambda m, u, i: m.explain([u[0]], i[0]), "must be a string, but got"),
        (lambda m, u, i: m.explain("nobody", i[0]), "user 'nobody' is not in the model's data"),
        (lambda m, u, i: m.similar_items([i[0]]), "must be a string, but got"),
        (lambda m, u, i: m.fold_in(None), "ratings of source items must be a sequence"),
        (lambda m, u, i: m.fold_in(target=5), "ratings of items must be a sequence"),
        (lambda m, u, i: m.fold_in(target=i), "a rating must be a pair of item and rating"),
        (lambda m, u, i: m.fold_in(target=[(i[0], "5")]), "'.*' must be a number, but got '5'"),
        (lambda m, u, i: m.fold_in(target=[(i[0], 6)]), "must lie between 1 and 5, but got 6"),
        (lambda m, u, i: m.fold_in(target=[(i[0], 5)] * 2), "must be rated once"),
        (lambda m, u, i: m.fold_in(target=[("newer", 5)]), "item 'newer' is not in the model's"),
        (lambda m, u, i: m.fold_in(unknown="x"), "unknown must be raise or skip"),
    ],
)
def test_anything_else_is_one_line(call, words, model, ids):
    with pytest.raises(darec.UserError, match=words) as raised:
        call(model, *ids)
    assert "\n" not in str(raised.value)


def test_a_person_of_whom_the_model_learns_nothing_is_cold_and_explained_as_such(
    tiny_pair, tmp_path
):
    model = darec.load(
        searched("pmf", tiny_pair, tmp_path).fit(tiny_pair, refit="train")
    )  # of the target alone
    item = tiny_pair.target_item_ids[0]
    rated = model.fold_in(target=[(item, 5)])
    of_source = model.fold_in(source=[(tiny_pair.source_item_ids[0], 5)])
    assert not model.explain(rated, item).cold_user
    told = model.explain(of_source, item)
    assert told.cold_user and told.model_share == pytest.approx(0, abs=1e-6)
    assert str(told).endswith("(cold policy)")


@pytest.mark.parametrize(("name", "is_cold"), [("bias", True), ("shared_bias", False)])
def test_of_the_biases_only_those_of_both_domains_learn_from_the_source(
    name, is_cold, tiny_pair, tmp_path
):
    model = darec.load(searched(name, tiny_pair, tmp_path).fit(tiny_pair, refit="train"))
    of_source = model.fold_in(source=[(tiny_pair.source_item_ids[0], 5)])
    assert model.explain(of_source, tiny_pair.target_item_ids[0]).cold_user is is_cold


@pytest.mark.parametrize("name", ["i_autorec", "item_knn", "u_cf_nade"])
def test_a_model_centred_on_both_domains_learns_from_the_source(name, tiny_pair, tmp_path):
    model = darec.load(searched(name, tiny_pair, tmp_path).fit(tiny_pair, refit="train"))
    of_source = model.fold_in(source=[(tiny_pair.source_item_ids[0], 5)])
    told = model.explain(of_source, tiny_pair.target_item_ids[0])
    assert not told.cold_user and str(told).endswith("(model)")


def test_a_model_that_cannot_fold_in_says_so_whatever_it_is_given(tiny_pair, tmp_path):
    model = darec.load(searched("i_rbm", tiny_pair, tmp_path).fit(tiny_pair, refit="train"))
    for given in ({}, {"source": [(tiny_pair.source_item_ids[0], 5)]}):
        with pytest.raises(darec.UserError, match="i_rbm cannot predict for new users"):
            model.fold_in(**given)
