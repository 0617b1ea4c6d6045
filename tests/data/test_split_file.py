"""Splits that somebody else made: what a file says is what trains, validates and tests."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darec.data import store
from darec.data.holdout import Holdout
from darec.data.marks import PARTS
from darec.data.selection import Selection
from darec.data.split import split
from darec.data.split_file import with_parts
from darec.data.synthetic import planted_pair
from darec.errors import UserError
from darec.paper import Counts

PAIR = planted_pair("p", Counts(40, 15, 12, 300, 200))
FILE = Holdout(split="file")


def lines_of(pair, domain="target", seed=0, head=""):
    """A line for each rating of a domain, and the part that each is in."""
    ratings, ids = getattr(pair, domain), getattr(pair, f"{domain}_item_ids")
    parts = np.random.default_rng(seed).integers(0, 3, len(ratings))
    rows = zip(ratings.users, ratings.items, parts, strict=True)
    return [f"{pair.user_ids[u]},{ids[i]},{PARTS[part]}{head}" for u, i, part in rows], parts


def written(folder, lines, head="user,item,part"):
    path = folder / "split.csv"
    path.write_text("\n".join([head, *lines, ""]))
    return path


@settings(max_examples=20)
@given(st.integers(0, 9), st.randoms())
def test_the_parts_of_a_split_are_those_of_its_file(tmp_path_factory, seed, random):
    lines, parts_N = lines_of(PAIR, seed=seed)
    random.shuffle(lines)
    pair = with_parts(PAIR, written(tmp_path_factory.mktemp("s"), lines))[0]
    found = split(pair, FILE)
    pieces = found.search.training.target, found.search.valid, found.test
    for part, piece in enumerate(pieces):
        assert piece.digest == PAIR.target.take(parts_N == part).digest
    for one, other in ((found, split(PAIR)), (split(pair, FILE, 3), split(PAIR, seed=3))):
        assert one.search.training.source.digest == other.search.training.source.digest
        assert one.test_source.digest == other.test_source.digest
    assert split(pair, FILE, 1).test.digest == found.test.digest
    assert split(pair).test.digest == split(PAIR).test.digest and pair.digest != PAIR.digest


def test_a_file_with_domains_divides_the_source_too(tmp_path):
    target, parts_T = lines_of(PAIR, "target", 1, ",target")
    source, parts_S = lines_of(PAIR, "source", 2, ",source")
    path = written(tmp_path, [*source, *target], "user,item,part,domain")
    found = split(with_parts(PAIR, path)[0], FILE)
    assert found.test.digest == PAIR.target.take(parts_T == 2).digest
    assert found.test_source.digest == PAIR.source.take(parts_S == 2).digest
    assert found.search.valid_source.digest == PAIR.source.take(parts_S == 1).digest


def test_a_rating_file_with_a_column_split_is_a_split_file_and_words_may_differ(tmp_path):
    lines, parts_N = lines_of(PAIR)
    words = {"train": "Training", "valid": "VAL", "test": "test"}
    cells = [line.split(",") for line in lines]
    text = "\n".join(f"{item}\t4.0\t{words[part]}\t{user}" for user, item, part in cells)
    path = tmp_path / "ratings.tsv.gz"
    path.write_bytes(gzip.compress(f"asin\toverall\tsplit\treviewerID\n{text}\n".encode()))
    found = split(with_parts(PAIR, path)[0], FILE)
    assert found.test.digest == PAIR.target.take(parts_N == 2).digest


def test_lines_about_other_ratings_and_repeated_lines_are_passed_over(tmp_path):
    lines, _ = lines_of(PAIR)
    path = written(tmp_path, [*lines, *lines[:9], "nobody,t1,train", f"{PAIR.user_ids[0]},x,test"])
    found, told = with_parts(PAIR, path)
    assert told[0].endswith("; 2 rows are about other ratings") and " train, " in told[0]
    assert found.digest == with_parts(PAIR, written(tmp_path, lines))[0].digest


def changed(lines, at, part):
    user, item, _ = lines[at].split(",")
    return f"{user},{item},{part}"


LINES, PARTS_N = lines_of(PAIR)


@pytest.mark.parametrize(
    ("lines", "head", "told"),
    [
        (LINES[3:], "user,item,part", r"3 of 200 target ratings are in no part \(e.g. user 'u"),
        ([*LINES, changed(LINES, 0, "test"), changed(LINES, 0, "train")], "user,item,part",
         r"1 target ratings are in two parts \(e.g. user 'u"),
        ([*LINES[:4], changed(LINES, 4, "tset"), *LINES[5:]], "user,item,part",
         "split.csv, line 6, field part: must be train, valid or test, but got 'tset'"),
        ([line.replace("valid", "train") for line in LINES], "user,item,part",
         "but has no valid; make some of its train ratings valid"),
        ([line.replace("test", "train") for line in LINES], "user,item,part", "but has no test"),
        (LINES, "user,item,fold", "line 1: must be a header that names the columns user, item and"),
        (LINES, "who,item,part", "line 1: must be a header that names the columns user, item and"),
        ([line + ",target" for line in LINES[:9]] + [LINES[9] + ",books"],
         "user,item,part,domain",
         "line 11, field domain: must be source or target, but got 'books'"),
        ([line + ",source" for line in LINES], "user,item,part,domain", "200 of 200 target"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_divide_the_ratings_is_refused(tmp_path, lines, head, told):
    with pytest.raises(UserError, match=told):
        with_parts(PAIR, written(tmp_path, lines, head))


def test_a_missing_and_an_empty_file_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        with_parts(PAIR, tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(UserError, match="must have a header and rows, but it is empty"):
        with_parts(PAIR, tmp_path / "empty.csv")


def test_a_pair_without_a_split_file_is_refused_with_the_remedy():
    told = "p: --split file: it was prepared without one; give --split-file to darec prepare"
    with pytest.raises(UserError, match=told):
        split(PAIR, FILE)


def rating_file(path, pair, domain, times):
    ratings, ids = getattr(pair, domain), getattr(pair, f"{domain}_item_ids")
    rows = zip(ratings.users, ratings.items, ratings.values, times, strict=True)
    path.write_text("".join(f"{pair.user_ids[u]},{ids[i]},{v},{t}\n" for u, i, v, t in rows))
    return path


def test_times_and_parts_are_kept_with_the_pair_and_belong_to_their_ratings(tmp_path):
    times = {
        domain: np.arange(len(getattr(PAIR, domain))) + 10**9 for domain in ("source", "target")
    }
    source, target = (
        rating_file(tmp_path / f"{domain}.csv", PAIR, domain, times[domain])
        for domain in ("source", "target")
    )
    lines, parts_N = lines_of(PAIR)
    path = written(tmp_path, lines)
    rules = Selection(min_ratings=1)
    made = store.prepare("own", tmp_path, source, target, rules, split_file=path).pair
    read = store.load(store.pair_file(tmp_path, "own"))
    assert read.digest == made.digest
    assert store.provenance(store.pair_file(tmp_path, "own"))["split_file"]["file"] == str(path)
    for pair in (made, read):
        assert np.array_equal(pair.source_marks.times, times["source"])
        assert np.array_equal(pair.target_marks.times, times["target"])
        assert np.array_equal(pair.target_marks.parts, parts_N)
        assert pair.source_marks.parts is None


def test_a_repeated_rating_has_the_time_of_the_one_that_counts(tmp_path):
    times = np.arange(len(PAIR.target)) + 10**9
    target = rating_file(tmp_path / "t.csv", PAIR, "target", times)
    ratings = PAIR.target
    again = f"{PAIR.user_ids[ratings.users[5]]},{PAIR.target_item_ids[ratings.items[5]]},1.0,"
    target.write_text(f"{again}1999999999\n{target.read_text()}{again}5\n")
    source = rating_file(tmp_path / "s.csv", PAIR, "source", np.zeros(len(PAIR.source), int))
    pair = store.prepare("own", tmp_path, source, target, Selection(min_ratings=1)).pair
    marks = pair.target_marks
    assert marks.times.max() == 1999999999 and len(marks.times) == len(ratings)
    assert pair.target.values[marks.times.argmax()] == 1.0
    assert pair.source_marks.times is None  # equal times say nothing
    with pytest.raises(UserError, match="in the source no rating has one"):
        split(replace(pair, name="own"), Holdout(split="temporal"))
