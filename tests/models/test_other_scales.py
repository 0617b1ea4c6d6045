"""Models on other scales: the same weights in stars, and RMSE in the units of the ratings."""

from dataclasses import replace

import numpy as np
import pytest

from darec.api.registry import check_levels, models_for
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.ratings import Ratings
from darec.data.scale import STARS, Scale
from darec.data.split import split
from darec.errors import UserError
from darec.models import MODELS
from darec.models.fm.probit import few_levels
from darec.models.levels import Levels, distinct
from tests.models.common import config
from tests.reporting import Recorder
from tests.scales import on, prepared

WIDE = Scale(-10, 10)
"""Five stars lie five points apart on it, which 32 bits hold exactly."""
LEVELLED = [name for name, kind in MODELS.items() if kind.levels]


def fitted(name, pair, epochs=3):
    data = split(pair).search
    fit = Fit(MODELS[name].build(config(name), data.training, Run()), data)
    for _ in range(1 if MODELS[name].whole_fit else epochs):
        fit.step()
    return fit


@pytest.mark.parametrize("name", MODELS)
def test_an_image_of_stars_has_the_same_model_and_its_rmse_times_the_unit(
    name, tiny_pair, tmp_path
):
    as_stars = prepared(tiny_pair, tmp_path, "stars")
    image = prepared(on(tiny_pair, Scale(0, 1), WIDE), tmp_path, "image")
    np.testing.assert_array_equal(image.target.values, as_stars.target.values)
    known, own = fitted(name, as_stars), fitted(name, image)
    assert own.best_epoch == known.best_epoch
    assert own.best_rmse == pytest.approx(5 * known.best_rmse, rel=1e-6)
    held = split(as_stars).search.valid
    pairs = held.users, held.items
    np.testing.assert_allclose(own.model.predict(*pairs), known.model.predict(*pairs), atol=1e-5)


def half_stars(pair):
    """The same pair on a scale from 0.5 to 5, with half a star less at every other rating."""
    scale = Scale(0.5, 5)
    own = pair.target.values - np.float32(0.5) * (np.arange(len(pair.target)) % 2)
    target = replace(pair.target, values=scale.to_stars(own.astype(np.float32)), scale=scale)
    return replace(pair, target=target)


@pytest.mark.parametrize("name", LEVELLED)
def test_ten_levels_are_learned(name, tiny_pair):
    pair = half_stars(tiny_pair)
    assert len(distinct(pair.target)) == 10
    fit = fitted(name, pair)
    worst = np.std(pair.target.values) * pair.target.scale.unit * 1.1
    assert fit.best_rmse < worst
    held = pair.target
    predicted = fit.model.predict(held.users[:50], held.items[:50])
    assert (predicted >= 1).all() and (predicted <= 5).all()


def ratings_of(values, scale=STARS):
    values = np.array(values, np.float32)
    index = np.arange(len(values), dtype=np.int32)
    return Ratings(index, index, values, len(values), len(values), scale)


def test_levels_are_the_distinct_ratings_and_both_ends():
    assert distinct(ratings_of([2, 5])).tolist() == [1, 2, 3, 4, 5]
    assert distinct(ratings_of([1.5, 4])).tolist() == [1, 1.5, 4, 5]
    assert distinct(ratings_of([1, 5], Scale(0, 1))).tolist() == [1, 5]
    levels = Levels(ratings_of([1.5, 4]))
    assert levels.of_ratings(ratings_of([1, 1.25, 1.4, 2.75, 5])).tolist() == [0, 1, 1, 2, 3]


def many_levels(pair, n):
    """The same pair on a scale from 0 to 100, with n distinct target ratings."""
    scale = Scale(0, 100)
    own = np.linspace(0, 100, n)[np.arange(len(pair.target)) % n].astype(np.float32)
    target = replace(pair.target, values=scale.to_stars(own), scale=scale)
    return replace(pair, target=target)


@pytest.mark.parametrize("name", LEVELLED)
def test_too_many_levels_are_refused_in_one_line(name, tiny_pair):
    check_levels(name, many_levels(tiny_pair, 21))
    check_levels("u_autorec", many_levels(tiny_pair, 22))
    with pytest.raises(UserError) as caught:
        check_levels(name, many_levels(tiny_pair, 22))
    told = str(caught.value)
    assert f"--model {name}" in told and "at most 21, but tiny has 22" in told
    assert "search another model" in told and "\n" not in told and len(told) < 200


def test_all_models_leave_them_out_with_a_line(tiny_pair):
    reporter = Recorder()
    assert models_for([*MODELS], tiny_pair, reporter) == [*MODELS] and not reporter.lines
    able = models_for([*MODELS], many_levels(tiny_pair, 101), reporter)
    assert able == [name for name in MODELS if name not in LEVELLED]
    (line,) = reporter.lines
    assert line.startswith(f"left out: {', '.join(LEVELLED)}: the target has 101 distinct ratings")


def test_a_probit_takes_the_nearest_of_21_levels_where_there_are_more():
    few = np.array([1, 1.3, 5], np.float32)
    assert few_levels(few) is few
    many = np.linspace(1, 5, 101, dtype=np.float32)
    found = few_levels(many)
    assert len(np.unique(found)) == 21 and np.abs(found - many).max() <= 0.1 + 1e-6
