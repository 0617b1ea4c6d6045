"""Splits in time: the past trains, what came later tests, and the seed settles ties alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.data.holdout import IN_TIME, Holdout
from darec.data.marks import Marks
from darec.data.split import in_both_domains, split
from darec.data.synthetic import planted_pair
from darec.errors import UserError
from darec.paper import Counts
from tests.pairs import partly_shared, timed

PAIR = planted_pair("p", Counts(40, 15, 12, 300, 200))
SEEDS = st.integers(0, 50)
PAIRS = st.builds(
    timed,
    st.sampled_from([PAIR, partly_shared(PAIR)]),
    st.integers(0, 9),
    st.sampled_from([40, 10**9]),  # many ratings of one time, or none
)
KINDS = st.sampled_from(IN_TIME)
PERCENTS = st.sampled_from([90, 80])


def cells(ratings):
    return ratings.users.astype(np.int64) * ratings.n_items + ratings.items


def times_of(ratings, pair, domain="target"):
    """The times of some ratings of a domain."""
    whole, marks = getattr(pair, domain), getattr(pair, f"{domain}_marks")
    time_of = dict(zip(cells(whole).tolist(), marks.times, strict=True))
    return np.array([time_of[cell] for cell in cells(ratings).tolist()])


def latest(ratings, times):
    """The time of each user's last rating, -inf for users without one."""
    last_U = np.full(ratings.n_users, -np.inf)
    np.maximum.at(last_U, ratings.users, times)
    return last_U


def oldest(ratings, times):
    """The time of each user's first rating, inf for users without one."""
    return -latest(ratings, -times)


@given(PAIRS, PERCENTS, SEEDS)
def test_no_training_rating_is_later_than_a_held_out_one(pair, train, seed):
    parts = split(pair, Holdout(train, split="temporal"), seed)
    training = parts.search.training
    first_valid = times_of(parts.search.valid, pair).min()
    assert times_of(training.target, pair).max() <= first_valid
    assert times_of(parts.search.valid, pair).max() <= times_of(parts.test, pair).min()
    for ratings in (training.source, parts.search.valid_source, parts.test_source):
        assert times_of(ratings, pair, "source").max() <= first_valid
    own = times_of(training.source, pair, "source").max()
    assert own <= times_of(parts.search.valid_source, pair, "source").min()
    assert own <= times_of(parts.test_source, pair, "source").min()


@given(PAIRS, PERCENTS, SEEDS)
def test_a_temporal_split_holds_out_the_same_shares_as_a_random_one(pair, train, seed):
    parts = split(pair, Holdout(train, split="temporal"), seed)
    as_ever = split(pair, Holdout(train), seed)
    assert len(parts.test) == len(as_ever.test)
    assert len(parts.search.valid) == len(as_ever.search.valid)


@given(PAIRS, PERCENTS, SEEDS)
def test_each_user_is_tested_on_the_own_last_ratings(pair, train, seed):
    parts = split(pair, Holdout(train, split="user-temporal"), seed)
    training, valid, both_U = parts.search.training, parts.search.valid, in_both_domains(pair)
    n_U, n_test_U, n_valid_U = (r.user_counts for r in (pair.target, parts.test, valid))
    many_U = both_U & (n_U > 1)
    share_U = np.rint(n_U * (100 - train) / 100)
    assert np.array_equal(n_test_U, np.where(many_U, np.maximum(1, share_U), 0))
    rest_U = n_U - n_test_U
    wanted_U = np.where(both_U & (rest_U > 1), np.maximum(1, np.rint(rest_U / 10)), 0)
    assert np.array_equal(n_valid_U, wanted_U)
    assert (training.target.user_counts[n_U > 0] > 0).all()
    last_U = latest(training.target, times_of(training.target, pair))
    assert (last_U <= oldest(valid, times_of(valid, pair))).all()
    assert (latest(valid, times_of(valid, pair)) <= oldest(parts.test, times_of(parts.test, pair)))[
        n_valid_U > 0
    ].all()
    held_U = n_test_U > 0
    for ratings in (training.source, parts.search.valid_source, parts.test_source):
        assert (latest(ratings, times_of(ratings, pair, "source")) <= last_U)[held_U].all()


@given(PAIRS, KINDS, PERCENTS, SEEDS)
def test_parts_are_disjoint_and_only_later_ratings_are_left_out(pair, kind, train, seed):
    parts, both_U = split(pair, Holdout(train, split=kind), seed), in_both_domains(pair)
    search = parts.search
    for domain, *pieces in (
        ("target", search.training.target, search.valid, parts.test),
        ("source", search.training.source, search.valid_source, parts.test_source),
    ):
        whole = getattr(pair, domain)
        found = np.concatenate([cells(piece) for piece in pieces])
        assert len(np.unique(found)) == len(found) and np.isin(found, cells(whole)).all()
        assert all(len(piece) and both_U[piece.users].all() for piece in pieces[1:])
        left_out = whole.take(~np.isin(cells(whole), found))
        last_U = latest(search.training.target, times_of(search.training.target, pair))
        end_U = last_U if kind == "user-temporal" else np.full(len(last_U), last_U.max())
        if domain == "target":
            assert not both_U[left_out.users].any()
        times = times_of(left_out, pair, domain)
        own_end = times_of(pieces[0], pair, domain).max()
        late = (times > end_U[left_out.users]) | (~both_U[left_out.users] & (times > own_end))
        assert late.all()


@given(st.integers(0, 9), KINDS, SEEDS, SEEDS)
def test_the_seed_decides_nothing_where_no_two_times_are_equal(shuffle, kind, seed, other):
    pair = timed(PAIR, shuffle, 10**9)
    first, second = (split(pair, Holdout(split=kind), each) for each in (seed, other))
    for part in ("test", "test_source"):
        assert np.array_equal(
            np.sort(cells(getattr(first, part))), np.sort(cells(getattr(second, part)))
        )
    known, same = first.search.training, second.search.training
    assert np.array_equal(np.sort(cells(known.target)), np.sort(cells(same.target)))
    assert np.array_equal(np.sort(cells(known.source)), np.sort(cells(same.source)))


def test_the_seed_settles_ties_and_repeats_itself():
    pair = timed(PAIR, 0, 3)
    first, again, other = (split(pair, Holdout(split="temporal"), seed) for seed in (1, 1, 2))
    assert first.test.digest == again.test.digest != other.test.digest


@given(PAIRS, KINDS, SEEDS)
def test_only_the_order_of_times_counts(pair, kind, seed):
    marks = [Marks(m.times * 1.25 + 7) for m in (pair.source_marks, pair.target_marks)]
    later = replace(pair, source_marks=marks[0], target_marks=marks[1])
    first, second = (split(each, Holdout(split=kind), seed) for each in (pair, later))
    assert first.test.digest == second.test.digest
    assert first.search.training.target.digest == second.search.training.target.digest
    assert pair.digest != later.digest


@pytest.mark.parametrize("kind", IN_TIME)
def test_a_pair_without_times_is_refused_with_the_remedy(kind):
    rule = f"p: --split {kind} needs the time of each rating, but in the"
    remedy = "prepare it from files with timestamps"
    with pytest.raises(UserError, match=f"{rule} source no rating has one; {remedy}"):
        split(PAIR, Holdout(split=kind))
    pair = timed(PAIR)
    with pytest.raises(UserError, match=f"{rule} target no rating has one; {remedy}"):
        split(replace(pair, target_marks=Marks()), Holdout(split=kind))
    some = Marks(np.where(np.arange(200) < 3, np.nan, pair.target_marks.times))
    with pytest.raises(UserError, match=f"{rule} target 3 of 200 ratings have none; {remedy}"):
        split(replace(pair, target_marks=some), Holdout(split=kind))


def test_a_source_that_is_younger_than_the_target_cannot_train():
    pair = timed(PAIR)
    late = Marks(np.asarray(pair.source_marks.times) + 10**6)
    with pytest.raises(UserError, match="source: 0 ratings from before the end of the target's"):
        split(replace(pair, source_marks=late), Holdout(split="temporal"))


@pytest.mark.parametrize("kind", IN_TIME)
def test_dates_in_one_domain_alone_are_refused(kind):
    pair = timed(PAIR)
    dates = Marks(np.asarray(pair.target_marks.times) + 1.4e9)
    with pytest.raises(UserError, match="times of both domains must have one unit, but they are"):
        split(replace(pair, target_marks=dates), Holdout(split=kind))


def test_marks_must_fit_the_ratings():
    with pytest.raises(ValueError, match="times of the target must have 200 entries, but got 3"):
        replace(PAIR, target_marks=Marks(np.arange(3.0)))
    with pytest.raises(ValueError, match="times must be finite"):
        Marks(np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match="parts must be 0"):
        Marks(parts=np.array([3], np.int8))


def test_a_pair_without_marks_keeps_its_digest_and_marks_change_it():
    assert PAIR.digest == replace(PAIR, target_marks=Marks()).digest
    one, other = timed(PAIR, 0), timed(PAIR, 1)
    halves = replace(one, source_marks=Marks()), replace(one, target_marks=Marks())
    assert len({each.digest for each in (PAIR, one, other, *halves)}) == 5
