from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.data.holdout import Holdout
from darec.data.ratings import DomainPair, Ratings
from darec.data.shuffled import shuffle_source
from darec.data.split import in_both_domains, split
from darec.data.synthetic import planted_pair
from darec.errors import UserError
from darec.paper import Counts
from tests.pairs import partly_shared

PAIR = planted_pair("p", Counts(40, 15, 12, 300, 200))
COLD = st.sampled_from([20, 50, 80])
SEEDS = st.integers(0, 50)


PAIRS = st.sampled_from([PAIR, partly_shared(PAIR)])


def cells(ratings):
    return set((ratings.users.astype(np.int64) * ratings.n_items + ratings.items).tolist())


def divided(pair, parts):
    """Return each domain's ratings, and their training, validation and test ratings."""
    search = parts.search
    return (
        (pair.target, search.training.target, search.valid, parts.test),
        (pair.source, search.training.source, search.valid_source, parts.test_source),
    )


@given(PAIRS, st.sampled_from([90, 80]), SEEDS, st.none() | COLD)
def test_parts_are_disjoint_and_complete(pair, train, seed, cold_users):
    parts = split(pair, Holdout(train, cold_users), seed)
    both_U = in_both_domains(pair)
    for whole, *pieces in divided(pair, parts):
        assert sum(len(piece) for piece in pieces) == len(whole)
        assert set().union(*map(cells, pieces)) == cells(whole)
        assert all(len(piece) and both_U[piece.users].all() for piece in pieces[1:])
    assert len(parts.final().target) == len(pair.target) - len(parts.test)


@given(PAIRS, st.sampled_from([90, 80]), SEEDS)
def test_the_warm_task_holds_out_percents_of_the_ratings_of_shared_users(pair, train, seed):
    for whole, _, valid, test in divided(pair, split(pair, Holdout(train), seed)):
        n = int(in_both_domains(pair)[whole.users].sum())
        assert len(test) == round(n * (100 - train) / 100)
        assert len(valid) == round((n - len(test)) / 10)


@given(PAIRS, SEEDS, COLD)
def test_a_cold_user_has_no_target_rating_in_training(pair, seed, cold_users):
    parts = split(pair, Holdout(cold_users=cold_users), seed)
    target, valid, test = parts.search.training.target, parts.search.valid, parts.test
    users = [set(part.users.tolist()) for part in (target, valid, test)]
    assert not (users[0] & users[1] or users[0] & users[2] or users[1] & users[2])
    n = int(in_both_domains(pair).sum())
    assert len(users[2]) == round(n * cold_users / 100)
    assert len(users[1]) == round((n - len(users[2])) / 5)
    warm, first = split(pair, seed=seed), parts.search.training.source
    assert first.digest == warm.search.training.source.digest
    assert parts.cold_users == parts.search.cold_users == cold_users and warm.cold_users is None


@given(SEEDS, st.none() | COLD)
def test_users_of_one_domain_change_nothing_of_what_is_held_out(seed, cold_users):
    """So scores of the same pair with and without them (``--overlap``) differ by training alone."""
    pair = partly_shared(PAIR)
    both_U = in_both_domains(pair)
    row_U = np.cumsum(both_U, dtype=np.int32) - np.int32(1)

    def of_both(ratings):
        kept = ratings.take(both_U[ratings.users])
        return replace(kept, users=row_U[kept.users], n_users=int(both_U.sum()))

    ids = pair.user_ids[both_U], pair.source_item_ids, pair.target_item_ids
    shared = DomainPair("shared", of_both(pair.source), of_both(pair.target), *ids)
    parts, alone = (split(each, Holdout(cold_users=cold_users), seed) for each in (pair, shared))
    for held, same in ((parts.test, alone.test), (parts.search.valid, alone.search.valid)):
        assert of_both(held).digest == same.digest


@given(PAIRS, SEEDS, st.none() | COLD)
def test_a_shuffled_source_leaves_the_held_out_ratings_as_they_are(pair, seed, cold_users):
    parts = split(pair, Holdout(cold_users=cold_users), seed)
    control = split(shuffle_source(pair, seed), Holdout(cold_users=cold_users), seed)
    assert parts.test.digest == control.test.digest
    assert parts.search.valid.digest == control.search.valid.digest
    assert np.array_equal(parts.test_source.items, control.test_source.items)


def test_a_model_answers_for_users_with_source_ratings_in_the_cold_user_task_alone():
    cold, warm = split(PAIR, Holdout(cold_users=50)).search, split(PAIR).search
    assert np.array_equal(cold.answered_U, cold.training.source.user_counts > 0)
    assert warm.answered_U is None


@given(SEEDS, COLD)
def test_a_first_stage_is_validated_by_training_users(seed, cold_users):
    data = split(PAIR, Holdout(cold_users=cold_users), seed).search
    first = data.of_stage1(seed)
    before, after = data.training.target, first.training.target
    assert cells(after) | cells(first.valid) == cells(before)
    assert len(first.valid) == round(len(before) / 10) == len(before) - len(after)
    assert first.cold_users is None and first.training.source is data.training.source
    assert first.valid_source is data.valid_source
    warm = split(PAIR).search
    assert warm.of_stage1(seed) is warm


@given(PAIRS, SEEDS, st.none() | COLD)
def test_a_reshuffled_division_is_of_the_same_ratings_and_as_large(pair, seed, cold_users):
    parts = split(pair, Holdout(cold_users=cold_users), seed)
    before, after = parts.search, parts.search.reshuffled(seed + 1)
    both_U = in_both_domains(pair)
    for old, old_valid, new, new_valid in (
        (before.training.target, before.valid, after.training.target, after.valid),
        (before.training.source, before.valid_source, after.training.source, after.valid_source),
    ):
        assert cells(new) | cells(new_valid) == cells(old) | cells(old_valid)
        assert not cells(new) & cells(new_valid)
        assert both_U[new_valid.users].all()
    again = parts.search.reshuffled(seed + 1)
    assert again.valid.digest == after.valid.digest and after.cold_users == cold_users
    if cold_users is None:
        assert len(after.valid) == len(before.valid)
        assert cells(after.valid) != cells(before.valid)
    else:
        users = np.unique(after.valid.users)
        assert len(users) == len(np.unique(before.valid.users))
        assert not after.training.target.user_counts[users].any()
        assert after.valid_source is before.valid_source


def test_seeds_decide_the_split_and_swapping_exchanges_domains():
    first, again, other = (split(PAIR, seed=seed) for seed in (1, 1, 2))
    assert first.test.digest == again.test.digest != other.test.digest
    cold, again, other = (split(PAIR, Holdout(cold_users=20), seed) for seed in (1, 1, 2))
    assert cold.test.digest == again.test.digest != other.test.digest
    swapped = first.search.swapped()
    assert swapped.training.target is first.search.training.source
    assert swapped.valid is first.search.valid_source


def test_other_fractions_and_too_few_users_are_refused():
    with pytest.raises(ValueError, match="train must be 90 or 80"):
        Holdout(70)
    with pytest.raises(ValueError, match="cold_users must be 20, 50 or 80, but got 30"):
        Holdout(cold_users=30)
    ids = np.arange(2, dtype=np.int32)
    few = Ratings(np.repeat(ids, 20), np.tile(np.arange(20, dtype=np.int32), 2), np.ones(40), 2, 20)
    pair = DomainPair("few", few, few, ids, np.arange(20), np.arange(20))
    with pytest.raises(UserError, match=r"^2 users of both domains are too few to divide"):
        split(pair, Holdout(cold_users=20))
    three = few.take(np.arange(3))
    one = DomainPair("one", few, three, ids, np.arange(20), np.arange(20))
    with pytest.raises(UserError, match=r"^3 target ratings of users of both domains are too few"):
        split(one)
