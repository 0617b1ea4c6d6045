"""Stacks of searches whose files are there: members, fallbacks, what does not go together."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import darec
from darec.core import blend
from darec.core.cold import COLD
from darec.data.synthetic import planted_pair
from darec.evaluation.evaluate import evaluate
from darec.models import kind_of
from darec.paper import Counts
from tests.reporting import Recorder
from tests.serving.conftest import searched

NAMES = ("cdtf", "item_knn", "fm")


@pytest.fixture(scope="module")
def pair():
    """A pair of 630 validation ratings, on which a blend gains."""
    return planted_pair("planted", Counts(300, 60, 60, 7000, 7000))


@pytest.fixture(scope="module")
def searched_once(pair, tmp_path_factory):
    out = tmp_path_factory.mktemp("searches")
    for name in NAMES:
        searched(name, pair, out)
    return out


@pytest.fixture
def members(searched_once, tmp_path):
    """The searches, in a folder of the test's own."""
    shutil.copytree(searched_once, tmp_path, dirs_exist_ok=True)
    return [darec.load_result(tmp_path / "planted-90" / name) for name in NAMES]


def test_a_stack_is_a_search_with_members_weights_and_a_model_folder(members, pair, tmp_path):
    recorder = Recorder()
    stacked = darec.stack(members, pair, reporter=recorder)
    best, table = stacked.best, pd.read_csv(stacked.folder / "members.csv")
    assert stacked.path == str(tmp_path / "planted-90" / "stack") and best.model == "stack"
    weight_of = {member["model"]: member["weight"] for member in best.config["members"]}
    assert len(weight_of) > 1 and set(weight_of) <= set(NAMES)
    assert dict(zip(table["model"], table["weight"], strict=True)) == pytest.approx(
        {name: weight_of.get(name, 0.0) for name in NAMES}
    )
    assert recorder.has(f"validation RMSE {best.valid_rmse:.4f}, cross-fitted")
    assert best.valid_rmse < min(search.best.valid_rmse for search in members)
    assert darec.load_result(stacked.path).best == best and len(stacked.trials) == 1
    assert darec.load(stacked.folder / "model").card.model == "stack"


def rmse_of(search, pair, seed=0, refit=False):
    """The test RMSE of a search's winner, as `darec evaluate` measures it."""
    best = search.best
    scores = evaluate(kind_of(best.model), best, pair, seed, seed, refit=refit)
    return next(score.test_rmse for score in scores if score.cold == COLD)


def test_scores_train_the_members_again_on_each_split(members, pair):
    stacked = darec.stack(members, pair, fit=False)
    for seed in (0, 1):
        alone = [rmse_of(search, pair, seed) for search in members]
        assert rmse_of(stacked, pair, seed) < min(alone)
    assert rmse_of(stacked, pair, refit=True) != rmse_of(stacked, pair)


def test_few_validation_ratings_leave_the_best_trial_alone(members, pair, monkeypatch):
    monkeypatch.setattr(blend, "FEWEST", 1000)
    recorder = Recorder()
    stacked = darec.stack(members, pair, fit=False, reporter=recorder)
    (member,) = stacked.best.config["members"]
    lowest = min(members, key=lambda search: search.best.valid_rmse).best
    assert (member["model"], member["weight"]) == (lowest.model, 1.0)
    assert recorder.has("630 validation ratings are too few to learn weights from (1000)")
    own = next(search for search in members if search.best.model == lowest.model)
    assert rmse_of(stacked, pair) == pytest.approx(rmse_of(own, pair), abs=1e-6)


def test_where_weights_gain_nothing_the_best_trial_is_the_only_member(pair, tmp_path):
    recorder = Recorder()
    only = searched("hierarchical_bias", pair, tmp_path)
    stacked = darec.stack([only], pair, fit=False, reporter=recorder)
    assert len(stacked.best.config["members"]) == 1
    assert recorder.has("no gain over the best one")


def test_an_older_stack_is_replaced(members, pair):
    first = darec.stack(members, pair).best
    second = darec.stack(members[:2], pair).best
    assert first != second and darec.load_result(members[0].path[: -len(NAMES[0])] + "stack").best


def test_what_does_not_go_together_is_refused_in_one_line(members, pair, tmp_path):
    stacked = darec.stack(members, pair, fit=False)
    with pytest.raises(darec.UserError, match="a stack cannot be a member of a stack"):
        darec.stack([*members, stacked], pair)
    with pytest.raises(darec.UserError, match="--members must be a whole number of at least 1"):
        darec.stack(members, pair, members=0)
    for name in ("best.json", "study.json"):
        path = members[0].folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 7}))
    with pytest.raises(darec.UserError, match=r"several seeds do not go together: \[0, 7\]"):
        darec.stack(members, pair)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kept.json", "fm/kept.json: an earlier version searched"),
        ("valid_predictions.safetensors", "the search kept no validation predictions"),
        ("best.safetensors", "best.safetensors: cannot be read"),
    ],
)
def test_missing_files_are_named(members, pair, name, told):
    (members[-1].folder / name).unlink()
    with pytest.raises(darec.UserError, match=told):
        darec.stack(members, pair, fit=False)


def test_predictions_of_other_data_are_refused(members, pair):
    from safetensors.numpy import save_file

    best = members[0].best
    path = members[0].folder / "valid_predictions.safetensors"
    save_file({best.trial_id: np.zeros(3, np.float32)}, path)
    with pytest.raises(darec.UserError, match="must have 630 predictions of trial t, but has 3"):
        darec.stack(members, pair)


def test_stack_is_not_a_name_for_other_models_or_searches(pair):
    with pytest.raises(darec.UserError, match="is a model of darec"):
        darec.register("stack", darec.models()["bias"], darec.Space({}))
    with pytest.raises(darec.UserError, match=r"not searched: it is made of finished searches"):
        darec.search("stack", pair)
