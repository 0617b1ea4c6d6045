"""Neighbours of items against hand-computed numbers, loops and Surprise."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from darec.core.new_user import OwnRatings
from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.models import item_knn
from darec.models.item_knn import ItemKNNConfig, build_item_knn, similarities, strongest

E_UI = np.float32([[1, 2, 0, 3], [-1, -1, 2, 0], [2, 0, -1, 1]])
"""Rests of three users on four items; 0 is no rating."""


def knn(training, **values):
    model = build_item_knn(ItemKNNConfig(**values), training, Run())
    model.train_epoch()
    return model


def test_similarities_by_hand():
    config = ItemKNNConfig(shrinkage=2.0, min_common=1)
    similar = similarities(sparse.csr_matrix(E_UI), config).toarray()
    # items 0 and 1 share users 0 and 1: 2 / (2 + 2) * (2 + 1) / sqrt((1 + 1) (4 + 1))
    s_01 = 0.5 * 3 / 10**0.5
    # items 0 and 3 share users 0 and 2: 2 / 4 * (3 + 2) / sqrt((1 + 4) (9 + 1))
    s_03 = 0.5 * 5 / 50**0.5
    # items 1 and 3 share user 0: 1 / 3 * 6 / sqrt(4 * 9); all others are negative
    want = np.zeros((4, 4))
    want[0, 1], want[0, 3], want[1, 3] = s_01, s_03, 1 / 3
    np.testing.assert_allclose(similar, want + want.T, rtol=1e-6)
    config = ItemKNNConfig(shrinkage=2.0, min_common=2)
    want[1, 3] = 0
    similar = similarities(sparse.csr_matrix(E_UI), config).toarray()
    np.testing.assert_allclose(similar, want + want.T, rtol=1e-6)


def test_a_prediction_by_hand():
    """Item 0, for a user with 4 and 2 stars for items 1 and 3, without a centre."""
    stars_UI = np.where(E_UI != 0, E_UI + 2, 0)
    users, items = (index.astype(np.int32) for index in np.nonzero(stars_UI))
    target = Ratings(users, items, stars_UI[users, items].clip(1, 5), 3, 4)
    nobody = target.take(np.zeros(len(target), bool))
    model = knn(Training(nobody, target), center="none", shrinkage=2.0, min_common=1, damping=0.5)
    similar = model.tables().similar_II.toarray()
    own = OwnRatings(np.array([3, 1], np.int32), np.float32([2, 4]))
    s_1, s_3 = similar[0, 1], similar[0, 3]
    nothing = OwnRatings(np.zeros(0, np.int32), np.zeros(0, np.float32))
    scores = model.fold_in({"target": own, "source": nothing})
    assert scores[0] == pytest.approx((4 * s_1 + 2 * s_3) / (0.5 + s_1 + s_3))
    model = knn(
        Training(nobody, target), center="none", shrinkage=2.0, min_common=1, damping=0.5, k=1
    )
    best, value = max((s_1, 4), (s_3, 2))
    scores = model.fold_in({"target": own, "source": nothing})
    assert scores[0] == pytest.approx(value * best / (0.5 + best))


def test_the_strongest_entries_of_each_row():
    matrix = sparse.csr_matrix(np.float32([[3, 1, 2], [1, 1, 1], [0, 0, 5]]))
    want = [[3, 0, 2], [1, 1, 0], [0, 0, 5]]
    np.testing.assert_array_equal(strongest(matrix, 2).toarray(), want)


def test_it_predicts_what_surprise_does(tiny_pair):
    """With Surprise's own biases as the centre, without shrinkage (it has n - 1 in place of n)."""
    import surprise

    data = split(tiny_pair).search
    target, valid = data.training.target, data.valid
    frame = pd.DataFrame({"u": target.users, "i": target.items, "r": target.values})
    reader = surprise.Reader(rating_scale=(1, 5))
    full = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    options = {"name": "pearson_baseline", "user_based": False, "shrinkage": 0, "min_support": 2}
    theirs = surprise.KNNBaseline(k=10, sim_options=options, verbose=False).fit(full)
    model = knn(data.training, center="none", k=10, shrinkage=0.0, min_common=2, damping=0.0)
    tables = model.tables()

    known = np.isin(valid.items, target.items)
    users, items = valid.users[known], valid.items[known]

    def baseline(users, items):
        of_user = [theirs.bu[full.to_inner_uid(user)] for user in users]
        of_item = [theirs.bi[full.to_inner_iid(item)] for item in items]
        return np.float32(full.global_mean + np.array(of_user) + np.array(of_item))

    order = target.rows("user").order
    rests = target.values[order] - baseline(target.users[order], target.items[order])
    rest_UI = item_knn.with_data(tables.rest_UI, rests)
    near = item_knn.Neighbours(
        similarities(rest_UI, tables.config), rest_UI, tables.center, tables.config
    )
    got = near.of_pairs(users, items) + baseline(users, items)
    want = [theirs.predict(u, i, clip=False).est for u, i in zip(users, items, strict=True)]
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_blocks_of_items_change_nothing(tiny_pair, monkeypatch):
    training = split(tiny_pair).search.training
    whole = knn(training).tables().similar_II
    monkeypatch.setattr(item_knn, "CO_RATED_AT_ONCE", 1000)
    parts = knn(training).tables().similar_II
    np.testing.assert_allclose(parts.toarray(), whole.toarray(), rtol=1e-6)
    assert whole.nnz > 100


def test_only_the_most_similar_items_are_kept(tiny_pair, monkeypatch):
    training = split(tiny_pair).search.training
    whole = knn(training).tables().similar_II
    monkeypatch.setattr(item_knn, "NEIGHBOURS", 5)
    few = knn(training).tables().similar_II
    np.testing.assert_array_equal(few.toarray(), strongest(whole, 5).toarray())
