import numpy as np
import pytest

from darec.data import store
from darec.data.pairs import build_pair
from darec.data.readers import read_ratings
from darec.errors import UserError


def read(tmp_path, name, rows):
    path = tmp_path / f"{name}.csv"
    path.write_text("user,item,rating,timestamp\n" + "".join(f"{row}\n" for row in rows))
    return read_ratings(path)


def test_repeats_shared_items_and_the_filter_by_hand(tmp_path):
    source = read(
        tmp_path, "s", ["a,x,1,5", "a,x,2,9", "a,x,3,7", "a,y,4,1", "b,x,5,1", "c,z,1,1", "a,w,1,1"]
    )
    target = read(tmp_path, "t", ["a,p,5,1", "a,q,4,1", "b,p,3,1", "d,p,1,1", "a,w,2,1"])
    pair, removed = build_pair("own", source, target, min_ratings=1)
    assert (removed.repeated_source, removed.repeated_target) == (2, 0)
    assert (removed.shared_items, removed.shared_users) == (1, 2)
    assert pair.user_ids.tolist() == ["a", "b"]
    assert pair.source_item_ids.tolist() == ["x", "y"]
    assert pair.target_item_ids.tolist() == ["p", "q"]
    rated = set(zip(pair.source.users, pair.source.items, pair.source.values, strict=True))
    assert rated == {(0, 0, 2.0), (0, 1, 4.0), (1, 0, 5.0)}


def test_without_timestamps_the_last_row_of_a_repeat_wins(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("user,item,rating\na,x,1\na,y,1\na,x,4\n")
    target = read(tmp_path, "t", ["a,p,5,1"])
    pair, removed = build_pair("own", read_ratings(path), target, min_ratings=1)
    assert removed.repeated_source == 1
    assert sorted(zip(pair.source.items, pair.source.values, strict=True)) == [(0, 4.0), (1, 1.0)]


def test_each_and_total_count_differently(tmp_path):
    source = read(tmp_path, "s", ["a,x,1,1", "b,x,1,1", "b,y,1,1"])
    target = read(tmp_path, "t", ["a,p,5,1", "a,q,5,1", "b,p,5,1", "b,q,5,1"])
    each, _ = build_pair("own", source, target, 2, "each")
    total, _ = build_pair("own", source, target, 3, "total")
    assert each.user_ids.tolist() == ["b"] and total.user_ids.tolist() == ["a", "b"]
    with pytest.raises(UserError, match=r"must leave a user with >= 3 ratings in each"):
        build_pair("own", source, target, 3, "each")


def test_no_shared_user_is_said(tmp_path):
    source, target = read(tmp_path, "s", ["a,x,1,1"]), read(tmp_path, "t", ["b,p,5,1"])
    with pytest.raises(UserError, match="must share users"):
        build_pair("own", source, target)


def test_saving_and_loading_is_the_identity(tmp_path, tiny_pair):
    folder = tmp_path / "pairs" / "tiny"
    store.save(tiny_pair, folder, {"from": "a test"})
    loaded = store.load(folder)
    assert loaded.digest == tiny_pair.digest and loaded.name == "tiny"
    np.testing.assert_array_equal(loaded.target_item_ids, tiny_pair.target_item_ids)
    assert store.obtain("tiny", tmp_path).digest == tiny_pair.digest


@pytest.mark.parametrize("name", ["target.parquet", "user_ids.parquet", "pair.json"])
def test_a_damaged_pair_names_its_file(tmp_path, tiny_pair, name):
    folder = tmp_path / "tiny"
    store.save(tiny_pair, folder, {})
    (folder / name).write_bytes(b"{")
    with pytest.raises(UserError, match=f"{name}: not a prepared pair"):
        store.load(folder)


def test_unknown_and_bad_names(tmp_path):
    with pytest.raises(UserError, match=r"no pair 'mine'.*toys_auto.*--name mine"):
        store.obtain("mine", tmp_path)
    for name in ("../x", "toys_auto-synthetic"):
        with pytest.raises(UserError, match="name must have only letters"):
            store.obtain(name, tmp_path)
    with pytest.raises(UserError, match="Table 1"):
        store.obtain("mine", tmp_path, synthetic=True)


@pytest.mark.realdata
def test_real_pairs_have_their_published_counts(real_data):
    folder = real_data / "amazon_cdtf"
    raw = read_ratings(folder / "book.csv"), read_ratings(folder / "music.csv")
    pair, _ = build_pair("books_music", *raw)
    assert list(store.counts(pair).values()) == [1066, 6000, 4999, 79921, 50463]
    folder = real_data / "epinions"
    raw = read_ratings(folder / "ratings_c3.csv"), read_ratings(folder / "ratings_c19.csv")
    _, removed = build_pair("c3_c19", *raw)
    assert (removed.repeated_source, removed.repeated_target) == (709, 249)
    folder = real_data / "amazon_dense"
    raw = read_ratings(folder / "books.inter"), read_ratings(folder / "movies.inter")
    pair, removed = build_pair("books_movies", *raw)
    assert len(pair.user_ids) == 827
    assert (removed.repeated_source, removed.repeated_target) == (6645, 5939)
