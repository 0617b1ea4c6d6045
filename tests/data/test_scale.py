"""The scale of a domain: how it is found, what it refuses, and that nothing is rounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darec.data import store
from darec.data.readers import read_ratings
from darec.data.scale import STARS, Scale, in_words
from darec.data.scales import found, means_unrated, scale_of
from darec.data.selection import Selection
from darec.errors import UserError
from tests.scales import SCALES, on, prepared, written


def floats(low, high):
    """Values of 32 bits; darec sets a mode in which the smallest ones count as 0."""
    return st.floats(low, high, width=32, allow_subnormal=False)


@given(st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=2, unique=True), st.data())
def test_ratings_come_back_to_the_precision_of_32_bits(ends, data):
    ends = [end / 8 for end in sorted(ends)]
    scale = Scale(*ends)
    values = np.array(data.draw(st.lists(floats(*ends), min_size=1)), np.float32)
    stars = scale.to_stars(values)
    assert stars.dtype == np.float32 and stars.min() >= 1 and stars.max() <= 5
    back = scale.from_stars(stars)
    largest = max(abs(scale.low), abs(scale.high), scale.range)
    np.testing.assert_allclose(back, values, rtol=0, atol=2.5e-7 * largest)
    assert scale.contains(values).all()
    assert scale.from_stars(np.array([1, 5], np.float32)).tolist() == ends


@given(st.lists(floats(-(2**99), 2**99), min_size=1))
def test_nothing_changes_from_1_to_5(values):
    array = np.array(values, np.float32)
    assert STARS.to_stars(array).tobytes() == array.tobytes()
    assert STARS.from_stars(array).tobytes() == array.tobytes()
    assert STARS.point(values[0]) == values[0] and STARS.unit == 1


def test_values_outside_a_scale_stay_outside():
    assert Scale(0, 10).to_stars(np.array([-10, 20])).tolist() == [-3, 9]
    assert Scale(0, 10).from_stars(np.array([0, 6], np.float32)).tolist() == [-2.5, 12.5]
    assert Scale(0.1, 0.7).contains(np.array([0.1, 0.7, 0.71], np.float32)).tolist() == [1, 1, 0]


@pytest.mark.parametrize("ends", [(5, 1), (1, 1), (0, np.inf), (np.nan, 5)])
def test_a_scale_has_two_finite_ends(ends):
    with pytest.raises(ValueError, match="finite low below a finite high"):
        Scale(*ends)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2, 3, 4, 5], STARS),
        ([2, 5], STARS),
        ([1.5, 4.5], STARS),
        ([0.5, 1, 5], Scale(0.5, 5)),
        ([0.5, 3], Scale(0.5, 5)),
        ([0.5, 0.7, 5], None),
        ([1, 7, 10], Scale(1, 10)),
        ([3, 8], Scale(1, 10)),
        ([1, 2, 3, 4, 5, 6, 7], None),
        ([0, 10], Scale(0, 10)),
        ([0.3, 9.7], Scale(0, 10)),
        ([0, 1, 2, 3, 4, 5], None),
        ([0, 20], None),
        ([5, 60], Scale(0, 100)),
        ([0, 37.5, 100], Scale(0, 100)),
        ([-9.95, 0.1, 8.2], Scale(-10, 10)),
        ([-2, -1, 0, 1, 2], None),
        ([-1, 1], None),
        ([-1, 1, 5, 10], None),
        ([0, 1], Scale(0, 1)),
        ([0], None),
        ([5], None),
        ([0, 0.5, 1], Scale(0, 1)),
        ([1, 1000], None),
    ],
)
def test_known_scales_are_found(values, scale):
    assert found(np.array(values, np.float32)) == scale


def file_of(folder, values):
    path = folder / "ratings.csv"
    rows = "".join(f"u{k},i{k},{value}\n" for k, value in enumerate(values))
    path.write_text("user,item,rating\n\n" + rows)
    return path


def told(folder, values, given=None, unrated=None):
    raw = read_ratings(file_of(folder, values))
    return scale_of("target", raw, given, unrated)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.5, 1, 5], "target ratings lie on a scale of 0.5 to 5 (3 levels)"),
        ([1, 6, 3], "of 1 to 6 (3 levels): these are the smallest and largest; --scale LOW,HIGH"),
        ([0, 1, 3, 5], "the others lie on 1 to 5: if 0 means not rated, give --unrated 0"),
        ([0, 1, 7, 9], "the others lie on 1 to 10: if 0 means not rated, give --unrated 0"),
        ([-1, 1, 7, 9], "the others lie on 1 to 10: if -1 means not rated, give --unrated -1"),
        ([-9.5, 1, 7, 99], "the others lie on -10 to 10: if 99 means not rated, give --unrated 99"),
    ],
)
def test_what_was_found_is_said(tmp_path, values, words):
    _, sentence = told(tmp_path, values)
    assert words in sentence and len(sentence) < 200


@pytest.mark.parametrize("values", [[0, 1], [0, 50, 100], [1, 2, 3], [-2, 0, 2]])
def test_zeros_that_belong_to_the_scale_are_no_matter(tmp_path, values):
    assert "--unrated" not in told(tmp_path, values)[1]


def test_rows_that_mean_not_rated_have_no_say(tmp_path):
    scale, sentence = told(tmp_path, [0, 1, 5, 0, 3], unrated=0.0)
    assert scale == STARS and "(3 levels)" in sentence
    assert means_unrated(np.array([0, 0.5], np.float32), 0.0).tolist() == [True, False]
    with pytest.raises(UserError, match="--unrated 0 must leave a rating, but leaves none"):
        told(tmp_path, [0, 0], unrated=0.0)


def test_a_rating_outside_a_given_scale_is_reported_with_its_line(tmp_path):
    assert told(tmp_path, [2, 3], Scale(0, 10))[0] == Scale(0, 10)
    with pytest.raises(UserError, match=r"line 5, field rating: must lie from 1 to 5, but got 6"):
        told(tmp_path, [1, 5, 6, 7], STARS)
    assert told(tmp_path, [1, 5, 6], STARS, unrated=6.0)[0] == STARS


def test_one_rating_alone_shows_no_scale(tmp_path):
    with pytest.raises(UserError, match="no rating but 7, which shows no scale; give --scale"):
        told(tmp_path, [7, 7])


@pytest.mark.parametrize("name", SCALES)
def test_a_prepared_pair_keeps_its_scales_and_its_ratings(tmp_path, tiny_pair, name):
    pair = on(tiny_pair, target=SCALES[name])
    made = prepared(pair, tmp_path, "own")
    assert (made.source.scale, made.target.scale) == (STARS, SCALES[name])
    np.testing.assert_array_equal(made.source.values.sum(), pair.source.values.sum())
    own = np.sort(made.target.scale.from_stars(made.target.values))
    np.testing.assert_allclose(own, np.sort(pair.target.scale.from_stars(pair.target.values)))
    assert store.load(store.pair_file(tmp_path, "own")).digest == made.digest
    assert store.load(store.pair_file(tmp_path, "own")).target.scale == SCALES[name]
    assert made.digest != replaced_digest(made)


def replaced_digest(pair):
    return on(pair).digest


def test_dropped_rows_are_counted_and_recorded(tmp_path, tiny_pair):
    """A later row that means "not rated" takes nothing away from an earlier rating."""
    files = written(tiny_pair, tmp_path)
    first = files[1].read_text().splitlines()[1].rpartition(",")[0]
    for path, more in zip(files, ("u000000,new,0\n" * 2, f"{first},0\n"), strict=True):
        path.write_text(path.read_text() + more)
    made = store.prepare("own", tmp_path, *files, Selection(min_ratings=1, unrated=0.0))
    assert (made.removed.source["unrated"], made.removed.target["unrated"]) == (2, 1)
    assert "2 mean not rated" in made.removed.sentence("source", len(made.pair.source))
    assert "new" not in made.pair.source_item_ids and made.pair.target.scale == STARS
    assert made.pair.digest == prepared(tiny_pair, tmp_path, "other").digest
    about = store.provenance(store.pair_file(tmp_path, "own"))
    assert about["removed"]["source"]["unrated"] == 2 and about["selection"]["unrated"] == 0


def test_what_headings_add():
    assert in_words(STARS, STARS) == in_words(STARS) == ""
    assert in_words(Scale(1, 10), Scale(1, 10)) == ", ratings from 1 to 10"
    both = ", ratings from -10 to 10, source ratings from 0.5 to 5"
    assert in_words(Scale(-10, 10), Scale(0.5, 5)) == both
