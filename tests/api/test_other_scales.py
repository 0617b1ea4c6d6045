"""From two files to recommendations, with source and target on other scales than 1 to 5."""

import json
from dataclasses import replace

import numpy as np
import pytest

import darec
from darec.data.scale import STARS
from darec.data.split import split
from tests.reporting import Recorder
from tests.scales import SCALES, on, written

NAMES = [*SCALES]
NIGHTLY = ("0.5-5", "1-10", "0-100")
"""Scales that the nightly tier tests; the others are of two levels and of negative ratings."""


def searched(pair, folder):
    return darec.search(
        "u_autorec", pair, trials=4, max_epochs=3, at_once=1, out=folder, reporter=Recorder()
    )


def prepared(pair, folder, reporter=None):
    folder.mkdir()
    files = written(pair, folder)
    own = {"name": "own", "data": folder, "min_ratings": 1, "reporter": reporter or Recorder()}
    return darec.prepare(*files, **own)


@pytest.fixture(scope="module")
def of_stars(cluster, tiny_pair, tmp_path_factory):
    """A search of the ratings as stars."""
    folder = tmp_path_factory.mktemp("stars")
    return searched(prepared(tiny_pair, folder / "data"), folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.nightly) if name in NIGHTLY else name for name in NAMES],
)
def test_the_whole_path_in_own_units(name, of_stars, tiny_pair, tmp_path):
    target, source = SCALES[name], SCALES[NAMES[NAMES.index(name) - 1]]
    reporter = Recorder()
    pair = prepared(on(tiny_pair, source, target), tmp_path / "data", reporter)
    assert (pair.source.scale, pair.target.scale) == (source, target)
    assert reporter.has(f"source ratings lie on a scale of {source} (5 levels)")
    assert reporter.has(f"target ratings lie on a scale of {target} (5 levels)")

    result = searched(pair, tmp_path / "out")
    best, known = result.best, of_stars.best
    assert (best.config, best.epoch) == (known.config, known.epoch), "the same winner"
    for figure in ("valid_rmse", "bias_valid_rmse", "hierarchical_valid_rmse"):
        assert getattr(best, figure) == pytest.approx(target.unit * getattr(known, figure))
    assert best.scale == target and known.scale == STARS
    errors, of_known = (r.trials["best_valid_rmse"].to_numpy() for r in (result, of_stars))
    np.testing.assert_allclose(errors, target.unit * of_known)

    told = Recorder()
    scores = darec.evaluate(result, pair, seeds=2, reporter=told)
    assert (scores["scale"] == str(target)).all()
    assert (scores["test_rmse_by_range"] * target.range).tolist() == pytest.approx(
        scores["test_rmse"].tolist()
    )
    assert any(f"ratings from {target}, source ratings from" in title for title, _ in told.tables)

    model = darec.load(result.path + "/model")
    users, items = list(pair.user_ids[:20]), list(pair.target_item_ids[:20])
    ratings = model.predict(users, items)
    assert target.contains(ratings).all() and np.ptp(ratings) > 0.05 * target.range
    low, high = np.quantile(target.from_stars(pair.target.values), [0.02, 0.98])
    assert low <= ratings.mean() <= high
    assert len(model.recommend(users[:2], n=3)) == 6
    card = json.loads((result.folder / "model" / "model.json").read_text())
    assert (card["lowest"], card["highest"]) == (target.low, target.high)
    (measured, *_) = card["scores"]
    assert measured["test_rmse"] == pytest.approx(
        scores[scores["cold"] == measured["cold"]]["test_rmse"].mean()
    )


def test_a_model_of_too_many_levels_is_refused_before_ray_starts(tiny_pair, tmp_path):
    values = np.linspace(1, 5, 101, dtype=np.float32)[np.arange(len(tiny_pair.target)) % 101]
    target = replace(tiny_pair.target, values=values, scale=SCALES["0-100"])
    pair = replace(tiny_pair, target=target)
    with pytest.raises(darec.UserError, match="--model i_rbm has weights for each distinct rating"):
        darec.search("i_rbm", pair, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": (5, 1)}, "--scale must be LOW,HIGH, two finite numbers of which the first"),
        ({"source_scale": "1-5"}, "--source-scale must be LOW,HIGH"),
        ({"target_scale": (1, 2, 3)}, "--target-scale must be LOW,HIGH"),
        ({"unrated": float("nan")}, "--unrated must be a finite number, but got nan"),
        ({"scale": (2, 5)}, "line .*, field rating: must lie from 2 to 5, but got 1"),
    ],
)
def test_wrong_scales_are_one_line(tiny_pair, tmp_path, options, words):
    files = written(tiny_pair, tmp_path)
    with pytest.raises(darec.UserError, match=words) as caught:
        darec.prepare(*files, name="own", data=tmp_path / "data", reporter=Recorder(), **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "data").exists()


def test_scales_need_files(tmp_path):
    with pytest.raises(
        darec.UserError, match="--scale needs rating files: a synthetic pair is generated"
    ):
        darec.prepare(pair="toys_auto", synthetic=True, scale=(1, 10), data=tmp_path)


def test_the_split_of_an_image_is_that_of_its_stars(tiny_pair):
    ours, theirs = split(tiny_pair), split(on(tiny_pair, target=SCALES["0/1"]))
    np.testing.assert_array_equal(ours.test.users, theirs.test.users)
    assert theirs.search.valid.scale == theirs.final().target.scale == SCALES["0/1"]
