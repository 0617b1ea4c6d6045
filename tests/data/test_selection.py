import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darec.data.pairs import build_pair
from darec.data.readers import read_ratings
from darec.data.selection import Selection
from darec.errors import UserError


def read(folder, name, rows):
    path = folder / f"{name}.csv"
    path.write_text("user,item,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in rows))
    return read_ratings(path)


def numbered(n_users, items):
    return [(f"u{u}", i, 3) for u in range(n_users) for i in items]


def test_ids_that_both_files_count_from_one_stop_the_command_until_it_is_said_what_they_are(
    tmp_path,
):
    source = read(tmp_path, "s", numbered(6, range(1, 7)))
    target = read(tmp_path, "t", numbered(6, range(1, 10)))
    rule = r"s.csv: 6 item ids \(e.g. '1'\) with 100% of the source's ratings are in both files"
    with pytest.raises(UserError, match=f"{rule}; say what they are: --items separate"):
        build_pair("p", source, target)
    with pytest.raises(UserError, match="once 6 items of both files are dropped, but none of 6"):
        build_pair("p", source, target, Selection(items="shared"))
    pair, removed = build_pair("p", source, target, Selection(items="separate"))
    assert (pair.source.n_items, pair.target.n_items, removed.shared_items) == (6, 9, 6)
    assert pair.source_item_ids.tolist() == list("123456")
    assert not sum(removed.source.values()) and not sum(removed.target.values())


def test_a_few_shared_items_are_dropped_as_the_paper_does(tmp_path):
    source = read(tmp_path, "s", [*numbered(6, [f"s{n}" for n in range(20)]), ("u0", "both", 1)])
    target = read(tmp_path, "t", [*numbered(6, [f"t{n}" for n in range(20)]), ("u1", "both", 1)])
    pair, removed = build_pair("p", source, target)
    assert removed.source["shared_items"] == removed.target["shared_items"] == 1
    assert len(pair.source) == len(pair.target) == 120
    told = "source: 120 of 121 rows are kept; of the others 1 are of items in both files"
    assert removed.sentence("source", len(pair.source)) == told


def test_a_core_is_what_is_left_when_users_and_items_have_enough(tmp_path):
    """Item z has one rating; without it user c has too few, and then so has item y."""
    source = read(tmp_path, "s", [(user, item, 2) for user in "abc" for item in "xw"])
    rows = ["ap", "aq", "ay", "bp", "bq", "cy", "cz"]
    target = read(tmp_path, "t", [(user, item, 3) for user, item in rows])
    pair, removed = build_pair("p", source, target, Selection(2, min_item_ratings=2))
    assert pair.user_ids.tolist() == ["a", "b"] and pair.target_item_ids.tolist() == ["p", "q"]
    assert removed.target["few_ratings"] == 1 and removed.target["few_of_item"] == 2
    assert removed.source["few_ratings"] == 2


def test_users_are_sampled_before_items_with_few_ratings_are_dropped(tmp_path):
    source = read(tmp_path, "s", numbered(40, ["x", "y"]))
    alone = [(f"u{u}", f"only{u}", 3) for u in range(40)]
    target = read(tmp_path, "t", [*numbered(40, ["p", "q", "r"]), *alone])
    pair, removed = build_pair("p", source, target, Selection(1, sample_users=10))
    assert len(pair.user_ids) == 10 and removed.target["not_sampled"] == 120
    again, _ = build_pair("p", source, target, Selection(1, sample_users=10))
    assert again.digest == pair.digest
    core, removed = build_pair("p", source, target, Selection(1, "each", "shared", None, 10, 10))
    assert core.user_ids.tolist() == pair.user_ids.tolist() and core.target.n_items == 3
    assert removed.target["few_of_item"] == 10
    everybody, _ = build_pair("p", source, target, Selection(1, sample_users=41))
    assert len(everybody.user_ids) == 40


ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("stuvwxyz"), st.integers(1, 5)),
    min_size=1,
    max_size=60,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(ROWS, ROWS, st.integers(1, 3), st.integers(1, 3), st.sampled_from(["each", "total"]))
@pytest.mark.parametrize("overlap", ["shared", "all"])
def test_every_row_is_kept_or_counted(
    tmp_path, overlap, rows_S, rows_T, least, least_of_item, min_in
):
    """Rows in are rows kept and rows removed with a reason; the rules hold of those kept."""
    source, target = read(tmp_path, "s", rows_S), read(tmp_path, "t", rows_T)
    rules = Selection(least, min_in, overlap, "separate", least_of_item, None)
    try:
        pair, removed = build_pair("p", source, target, rules)
    except UserError:
        return
    for kept, raw, dropped in (
        (pair.source, source, removed.source),
        (pair.target, target, removed.target),
    ):
        assert len(kept) + sum(dropped.values()) == len(raw)
        assert kept.item_counts.min() >= least_of_item
    counts = np.stack([pair.source.user_counts, pair.target.user_counts])
    total = counts.sum(0)
    assert (total >= least).all() and (min_in == "total" or (counts[counts > 0] >= least).all())
    assert overlap == "all" or (counts > 0).all()
