from dataclasses import replace

import numpy as np

from darec.data import store
from darec.data.shuffled import prepare_shuffled, shuffle_source
from darec.data.split import split


def test_a_shuffled_source_keeps_each_users_ratings_together(tiny_pair):
    shuffled = shuffle_source(tiny_pair)
    before, after = tiny_pair.source, shuffled.source
    assert sorted(before.user_counts) == sorted(after.user_counts)
    assert (before.users != after.users).any() and (before.items == after.items).all()
    assert shuffled.target is tiny_pair.target and shuffled.digest != tiny_pair.digest
    assert shuffled.name == "tiny-shuffled"


def test_the_same_ratings_are_held_out_of_it(tiny_pair):
    parts, control = split(tiny_pair), split(shuffle_source(tiny_pair))
    assert np.array_equal(parts.test_source.values, control.test_source.values)
    assert np.array_equal(parts.test_source.items, control.test_source.items)
    assert np.array_equal(parts.test.users, control.test.users)


def test_a_shuffled_pair_is_saved_once_and_found_by_its_name(tmp_path, tiny_pair):
    prepare_shuffled(tiny_pair, tmp_path)
    path = tmp_path / "pairs" / "tiny-shuffled.zip"
    assert store.obtain("tiny-shuffled", tmp_path).digest == shuffle_source(tiny_pair).digest
    saved = path.stat().st_ino
    prepare_shuffled(tiny_pair, tmp_path)
    assert path.stat().st_ino == saved
    other = replace(tiny_pair, source=tiny_pair.source.take(np.arange(2000)))
    prepare_shuffled(other, tmp_path)
    assert store.obtain("tiny-shuffled", tmp_path).digest == shuffle_source(other).digest
