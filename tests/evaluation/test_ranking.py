"""Figures of lists, by hand and against trec_eval, which the field takes as their definition."""

import numpy as np
import pytest

from darec.core import lists
from darec.core.cold import ColdRule
from darec.core.lists import Ranking, ranked_users, ranking
from darec.core.recommender import DivergedError
from darec.data.ratings import Ratings
from darec.data.split import Training, split
from darec.evaluation.ranking import rankings


def ratings(cells, shape, values=None):
    users, items = np.array(cells, np.int32).reshape(-1, 2).T
    values = np.full(len(users), 5.0) if values is None else values
    return Ratings(users, items, np.asarray(values, np.float32), *shape)


def all_users(n):
    return np.arange(n, dtype=np.int32)


def test_a_list_by_hand():
    """User 0 has items 0 and 3 at ranks 1 and 4, without item 1, which was seen; user 1 has none.

    Scores fall with the position. DCG: 1 + 1 / log2(4), ideal: 1 + 1 / log2(3). Item 12 of user 1
    comes after ten others.
    """
    scores = np.tile(-np.arange(13, dtype=np.float32), (2, 1))
    relevant = ratings([(0, 0), (0, 3), (1, 12)], (2, 13))
    found = ranking(scores.__getitem__, all_users(2), relevant, ratings([(0, 1)], (2, 13)))
    ndcg = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert found.ndcg_at_10 == pytest.approx(ndcg / 2)
    assert found.recall_at_10 == 0.5
    assert found.coverage_at_10 == pytest.approx(11 / 13)


def test_more_than_ten_relevant_items_are_ideal_if_ten_are_listed():
    scores = np.zeros((1, 20), np.float32)
    relevant = ratings([(0, item) for item in range(16)], (1, 20))
    found = ranking(scores.__getitem__, all_users(1), relevant, ratings([], (1, 20)))
    assert found == Ranking(pytest.approx(1.0), 10 / 16, 10 / 20)


@pytest.mark.parametrize("n_items", [4, 12])
def test_a_user_with_few_unseen_items_gets_a_shorter_list(n_items):
    scores, shape, last = np.zeros((1, n_items), np.float32), (1, n_items), n_items - 1
    seen = ratings([(0, item) for item in range(last)], shape)
    found = ranking(scores.__getitem__, all_users(1), ratings([(0, last)], shape), seen)
    assert found == Ranking(1.0, 1.0, 1 / n_items)


def drawn(n_users=300, n_items=90, seed=0):
    """Scores, relevant test ratings and seen ratings, which share no cell; no scores are equal."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(n_users * n_items).reshape(n_users, n_items).astype(np.float32)
    part = rng.choice(3, (n_users, n_items), p=[0.7, 0.1, 0.2])
    part[:, 0] = 1  # every user has a relevant item
    part[:20, 1:15] = 1  # some have more than a list has room for
    cells = [np.argwhere(part == kind) for kind in (1, 2)]
    return scores, *(ratings(each, scores.shape) for each in cells)


@pytest.mark.parametrize("at_once", [90, 7 * 90, 10**6])
def test_figures_are_those_of_trec_eval(monkeypatch, at_once):
    trec = pytest.importorskip("pytrec_eval")
    scores, relevant, seen = drawn()
    judged = {str(user): {} for user in range(len(scores))}
    for user, item in zip(relevant.users, relevant.items, strict=True):
        judged[str(user)][str(item)] = 1
    known = set(zip(seen.users.tolist(), seen.items.tolist(), strict=True))
    run = {
        str(user): {str(i): float(s) for i, s in enumerate(row) if (user, i) not in known}
        for user, row in enumerate(scores)
    }
    theirs = trec.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.10"}).evaluate(run)
    monkeypatch.setattr(lists, "PAIRS_AT_ONCE", at_once)
    ours = ranking(scores.__getitem__, all_users(len(scores)), relevant, seen)
    for name, figure in (("ndcg_cut_10", ours.ndcg_at_10), ("recall_10", ours.recall_at_10)):
        assert figure == pytest.approx(np.mean([user[name] for user in theirs.values()]), abs=1e-9)
        assert 0.05 < figure < 0.95


def test_a_score_that_is_not_finite_is_reported():
    scores = np.array([[1, np.nan, np.inf]], np.float32)
    with pytest.raises(DivergedError, match="2 of 3 scores of items are not finite"):
        ranking(scores.__getitem__, all_users(1), ratings([(0, 0)], (1, 3)), ratings([], (1, 3)))


def test_users_without_a_relevant_item_get_no_list_and_others_are_drawn_by_the_seed(monkeypatch):
    relevant = ratings([(8, 0), (2, 1), (5, 0), (2, 0)], (9, 2))
    assert ranked_users(relevant, 0).tolist() == [2, 5, 8]
    monkeypatch.setattr(lists, "MOST_USERS", 2)
    found = {tuple(ranked_users(relevant, seed)) for seed in range(20)}
    assert found == {(2, 5), (2, 8), (5, 8)}
    assert (ranked_users(relevant, 3) == ranked_users(relevant, 3)).all()


def rule_of(training):
    return ColdRule(Training(training, training))


class Fixed:
    """A model whose raw score of an item is its position, far above the star scale."""

    def predict(self, users, items, domain="target"):
        return items.astype(np.float32) + 10


def test_lists_follow_raw_scores_after_the_cold_rule():
    """Item 19 and user 2 are cold: raw scores count neither for it nor for its list.

    User 1 is listed items 18 to 9, and user 2, to whom all items are alike, items 0 to 9.
    """
    training = ratings([(0, item) for item in range(19)] + [(1, 0)], (3, 20))
    test = ratings([(2, 18), (1, 19), (1, 9)], (3, 20), [5.0, 5.0, 3.0])
    found = rankings(Fixed(), rule_of(training), training, training, test, 0)
    assert found.users == 2
    assert found.model == Ranking(0.0, 0.0, 19 / 20)


def test_nothing_is_ranked_if_no_test_rating_is_high(tiny_pair):
    parts = split(tiny_pair)
    training, test = parts.search.training.target, parts.test.take(parts.test.values < 4)
    assert rankings(Fixed(), rule_of(training), training, training, test, 0) is None
