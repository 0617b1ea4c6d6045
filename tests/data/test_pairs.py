import errno
import subprocess
import sys
from zipfile import ZipFile

import numpy as np
import pytest

from darec.data import store
from darec.data.pairs import build_pair
from darec.data.readers import read_ratings
from darec.data.selection import Selection
from darec.data.synthetic import planted_pair
from darec.errors import UserError
from darec.paper import Counts


def read(tmp_path, name, rows):
    path = tmp_path / f"{name}.csv"
    path.write_text("user,item,rating,timestamp\n" + "".join(f"{row}\n" for row in rows))
    return read_ratings(path)


def test_repeats_shared_items_and_the_filter_by_hand(tmp_path):
    source = read(
        tmp_path, "s", ["a,x,1,5", "a,x,2,9", "a,x,3,7", "a,y,4,1", "b,x,5,1", "c,z,1,1", "a,w,1,1"]
    )
    target = read(tmp_path, "t", ["a,p,5,1", "a,q,4,1", "b,p,3,1", "d,p,1,1", "a,w,2,1"])
    pair, removed = build_pair("own", source, target, Selection(min_ratings=1, items="shared"))
    assert (removed.source["repeated"], removed.target["repeated"]) == (2, 0)
    assert (removed.source["shared_items"], removed.target["shared_items"]) == (1, 1)
    assert (removed.source["one_domain"], removed.target["one_domain"]) == (1, 1)
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
    pair, removed = build_pair("own", read_ratings(path), target, Selection(min_ratings=1))
    assert removed.source["repeated"] == 1
    assert sorted(zip(pair.source.items, pair.source.values, strict=True)) == [(0, 4.0), (1, 1.0)]


def test_each_and_total_count_differently(tmp_path):
    source = read(tmp_path, "s", ["a,x,1,1", "b,x,1,1", "b,y,1,1"])
    target = read(tmp_path, "t", ["a,p,5,1", "a,q,5,1", "b,p,5,1", "b,q,5,1"])
    each, _ = build_pair("own", source, target, Selection(2, "each"))
    total, _ = build_pair("own", source, target, Selection(3, "total"))
    assert each.user_ids.tolist() == ["b"] and total.user_ids.tolist() == ["a", "b"]
    with pytest.raises(UserError, match=r"must leave a user with >= 3 ratings in each"):
        build_pair("own", source, target, Selection(3, "each"))


def test_users_of_one_domain_can_be_kept_if_they_have_enough_ratings_there(tmp_path):
    rows = ["both,a,5,1", "both,b,4,1", "source,a,3,1", "source,b,3,1", "few,a,1,1", "half,a,1,1"]
    source = read(tmp_path, "s", rows)
    rows = ["both,x,2,1", "both,y,2,1", "target,x,4,1", "target,y,4,1", "half,x,1,1", "half,y,1,1"]
    target = read(tmp_path, "t", rows)
    pair, removed = build_pair("p", source, target, Selection(2, overlap="all"))
    assert pair.user_ids.tolist() == ["both", "source", "target"]
    assert pair.source.user_counts.tolist() == [2, 2, 0]
    assert pair.target.user_counts.tolist() == [2, 0, 2]
    assert removed.shared_users == 2
    total, _ = build_pair("p", source, target, Selection(2, "total", "all"))
    assert total.user_ids.tolist() == ["both", "half", "source", "target"]
    shared, _ = build_pair("p", source, target, Selection(2))
    assert shared.user_ids.tolist() == ["both"]
    with pytest.raises(UserError, match=r">= 3 ratings in each domain, but none of 2 users"):
        build_pair("p", source, target, Selection(3, overlap="all"))


def test_no_shared_user_is_said(tmp_path):
    source, target = read(tmp_path, "s", ["a,x,1,1"]), read(tmp_path, "t", ["b,p,5,1"])
    with pytest.raises(UserError, match="must share users"):
        build_pair("own", source, target)


def test_saving_and_loading_is_the_identity(tmp_path, tiny_pair):
    path = tmp_path / "pairs" / "tiny.zip"
    store.save(tiny_pair, path, {"from": "a test"})
    loaded = store.load(path)
    assert loaded.digest == tiny_pair.digest and loaded.name == "tiny"
    np.testing.assert_array_equal(loaded.target_item_ids, tiny_pair.target_item_ids)
    assert store.obtain("tiny", tmp_path).digest == tiny_pair.digest
    stars = {"low": 1.0, "high": 5.0}
    assert store.provenance(path) == {
        "digest": tiny_pair.digest,
        "scales": {"source": stars, "target": stars},
        "from": "a test",
    }
    assert [path.name for path in path.parent.iterdir()] == ["tiny.zip"]


def damage(path, part, change):
    """Change the bytes of one part of a pair's file."""
    with ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts[part] = change(parts[part])
    with ZipFile(path, "w") as new:
        for name, content in parts.items():
            if content is not None:
                new.writestr(name, content)


@pytest.mark.parametrize("part", ["target.parquet", "user_ids.parquet", "pair.json"])
@pytest.mark.parametrize(
    "change", [lambda _: b"{", lambda _: None, lambda content: content[: len(content) // 2]]
)
def test_a_damaged_pair_names_its_file_and_part(tmp_path, tiny_pair, part, change):
    path = tmp_path / "tiny.zip"
    store.save(tiny_pair, path, {})
    damage(path, part, change)
    with pytest.raises(UserError, match=f"tiny.zip: not a prepared pair: {part[:5]}") as caught:
        store.load(path)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_or_a_cut_is_noticed_anywhere(tmp_path, tiny_pair):
    path = tmp_path / "tiny.zip"
    store.save(tiny_pair, path, {})
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place])
        with pytest.raises(UserError, match="not a prepared pair"):
            store.load(path)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            same = store.load(path)
        except UserError as error:
            assert "not a prepared pair" in str(error)
        else:  # a bit that says nothing of the pair, such as the time of a part
            assert same.digest == tiny_pair.digest
            assert same.user_ids.tolist() == tiny_pair.user_ids.tolist()


def test_a_pair_that_another_machine_replaces_meanwhile_is_read_again(
    tmp_path, tiny_pair, monkeypatch
):
    path, opened = tmp_path / "tiny.zip", []
    store.save(tiny_pair, path, {})

    class Stale(ZipFile):
        def read(self, name):
            opened.append(name)
            if len(opened) == 3:
                raise OSError(errno.ESTALE, "Stale file handle")
            return super().read(name)

    monkeypatch.setattr(store, "ZipFile", Stale)
    assert store.load(path).digest == tiny_pair.digest and len(opened) == 3 + 6


WRITER = """
import sys, time
from pathlib import Path
from darec.data import store
from darec.data.selection import Selection
from darec.data.synthetic import planted_pair
from darec.paper import Counts
pair = planted_pair("p", Counts(300, 200, 200, 6000, 5000), seed=int(sys.argv[2]))
end = time.monotonic() + 3
while time.monotonic() < end:
    store.save(pair, Path(sys.argv[1]), {"of": sys.argv[2]})
"""


@pytest.mark.slow
def test_two_writers_and_a_reader_meet_whole_pairs_only(tmp_path):
    path = tmp_path / "pairs" / "p.zip"
    whole = {
        planted_pair("p", Counts(300, 200, 200, 6000, 5000), seed=seed).digest for seed in (1, 2)
    }
    store.save(planted_pair("p", Counts(300, 200, 200, 6000, 5000), seed=1), path, {})
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, seed], stderr=subprocess.PIPE) for seed in "12"]
    found = []
    while any(writer.poll() is None for writer in writers):
        found.append(store.load(path).digest)
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert {writer.returncode for writer in writers} == {0} and set(found) == whole
    assert [path.name for path in path.parent.iterdir()] == ["p.zip"]


def test_unknown_and_bad_names(tmp_path):
    with pytest.raises(UserError, match=r"no pair 'mine'.*toys_auto.*--name mine"):
        store.obtain("mine", tmp_path)
    with pytest.raises(UserError, match="name must have only letters"):
        store.obtain("../x", tmp_path)
    with pytest.raises(UserError, match="Table 1"):
        store.obtain("mine", tmp_path, synthetic=True)


def test_a_pair_prepared_as_a_folder_is_to_be_prepared_again(tmp_path):
    (tmp_path / "pairs" / "mine").mkdir(parents=True)
    with pytest.raises(UserError, match=r"pairs/mine: an earlier version .* again with darec prep"):
        store.obtain("mine", tmp_path)


@pytest.mark.parametrize("name", ["toys_auto-synthetic", "small-shuffled"])
def test_the_names_of_pairs_that_darec_makes_are_reserved(tmp_path, name):
    with pytest.raises(UserError, match="must not end in -synthetic or -shuffled"):
        store.prepare(name, tmp_path, tmp_path / "s.csv", tmp_path / "t.csv")


@pytest.mark.realdata
def test_real_pairs_have_their_published_counts(real_data):
    folder = real_data / "amazon_cdtf"
    raw = read_ratings(folder / "book.csv"), read_ratings(folder / "music.csv")
    pair, _ = build_pair("books_music", *raw)
    assert list(store.counts(pair).values()) == [1066, 6000, 4999, 79921, 50463]
    folder = real_data / "epinions"
    raw = read_ratings(folder / "ratings_c3.csv"), read_ratings(folder / "ratings_c19.csv")
    _, removed = build_pair("c3_c19", *raw)
    assert (removed.source["repeated"], removed.target["repeated"]) == (709, 249)
    folder = real_data / "amazon_dense"
    raw = read_ratings(folder / "books.inter"), read_ratings(folder / "movies.inter")
    pair, removed = build_pair("books_movies", *raw)
    assert len(pair.user_ids) == 827
    assert (removed.source["repeated"], removed.target["repeated"]) == (6645, 5939)
