"""Stacks of searches whose files are there: members, fallbacks, what does not go together."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file, save_file

import darec
from darec.api.stack_files import candidates_of
from darec.api.winner import chosen
from darec.cli.searches import winners
from darec.core import blend
from darec.core.cold import COLD, ColdRule
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.evaluation.evaluate import evaluate
from darec.models import kind_of, plugins
from darec.paper import Counts
from darec.serving.answers import Answers
from darec.serving.app import make_app
from tests.reporting import Recorder
from tests.serving.conftest import searched
from tests.serving.in_process import InProcess

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
    page = (stacked.folder / "study.html").read_text()
    for name, weight in weight_of.items():
        assert f"{name}, trial t" in page and f"{weight:.2f} {name}" in chosen(best)
    told = [f"{weight:.2f} {name}" for name, weight in weight_of.items()]
    card = (stacked.folder / "model" / "README.md").read_text()
    assert f"| members and weights | {', '.join(told)} |" in card
    assert winners([stacked])["winner"].iloc[0] == f"{len(weight_of)} members"
    assert darec.load(stacked.folder / "model").card.model == "stack"


def test_a_stack_answers_requests(members, pair):
    stacked = darec.stack(members, pair)
    model = darec.load(stacked.folder / "model")
    service = InProcess(Answers(model, "1" * 64))
    client = TestClient(make_app(lambda: service))
    users, items = model.user_ids.ids[:3], model.item_ids.ids[2:5]
    pairs = [{"user": user, "item": item} for user, item in zip(users, items, strict=True)]
    answer = client.post("/predict", json={"pairs": pairs}).json()
    np.testing.assert_array_equal(np.float32(answer["predictions"]), model.predict(users, items))
    lists = client.post("/recommend", json={"users": [users[0]], "n": 4})
    assert lists.status_code == 200 and len(lists.json()["recommendations"][0]["items"]) == 4


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
    assert recorder.has("no trial improves on the hierarchical biases")


def test_where_no_member_gains_on_the_biases_its_rmse_is_that_of_the_best_trial(
    members, pair, monkeypatch
):
    """The weights of all validation ratings are 0, but those of the parts are not."""
    learn, n_valid = blend.few_weights, 630

    def few(differences, most):
        found = learn(differences, most)
        return found * (len(differences.rest_N) < n_valid)

    monkeypatch.setattr(blend, "few_weights", few)
    best = darec.stack(members, pair, fit=False).best
    (member,) = best.config["members"]
    monkeypatch.setattr(blend, "FEWEST", 1000)
    alone = darec.stack(members, pair, fit=False).best
    assert member["weight"] == 1.0 and best == alone


def test_of_one_search_all_kept_trials_are_candidates_beside_others_the_best_of_each_variant(
    members, pair
):
    fm, data = members[NAMES.index("fm")], split(pair).search
    rule, path = ColdRule(data.training), fm.folder / "valid_predictions.safetensors"
    predictions = dict(load_file(path))
    (winner,) = json.loads((fm.folder / "kept.json").read_text())["trials"]
    first, other = winner["config"]["output"], "probit"
    assert first != other
    kept = [winner]
    for n, (name, output) in enumerate([("a", first), ("b", other), ("c", other)], 1):
        predictions[name] = predictions[winner["trial_id"]] + np.float32(n / 100)
        rmse = rule.rmse(predictions[name], data.valid)
        config = {**winner["config"], "output": output}
        kept.append({**winner, "trial_id": name, "config": config, "valid_rmse": rmse})
    save_file(predictions, path)
    (fm.folder / "kept.json").write_text(json.dumps({"trials": kept}))
    for alone, wanted in ((True, ["t", "a", "b", "c"]), (False, ["t", "b"])):
        found = candidates_of(fm, data, alone)
        assert [each.trial.trial_id for each in found] == wanted
        for each in found:
            np.testing.assert_array_equal(each.predictions, predictions[each.trial.trial_id])


def test_another_stack_is_replaced_with_its_model_folder(members, pair):
    first = darec.stack(members, pair)
    before, card = first.best, first.folder / "model" / "model.json"
    written = card.stat().st_mtime_ns
    assert darec.stack(members, pair).best == before and card.stat().st_mtime_ns == written
    second = darec.stack(members[:2], pair, fit=False)
    assert second.path == first.path and second.best != before
    assert not (second.folder / "model").exists()


def test_trials_of_one_number_in_two_searches_are_reported_apart(members, pair, tmp_path):
    """Both searches have a trial t of one model; one of them was trained for longer."""
    longer = searched("cdtf", pair, tmp_path / "longer", epochs=6)
    stacked = darec.stack([longer, *members], pair, fit=False)
    weights = load_file(stacked.folder / "best.safetensors")
    own = {search.path: load_file(search.folder / "best.safetensors") for search in members}
    own[longer.path] = load_file(longer.folder / "best.safetensors")
    table = pd.read_csv(stacked.folder / "members.csv").query("weight > 0")
    assert len(table) == len(stacked.best.config["members"]) > 2
    for n, path in enumerate(table["search"]):
        for name, array in own[path].items():
            np.testing.assert_array_equal(weights[f"{n}.{name}"], array)


def test_predictions_that_are_not_those_of_the_weights_are_made_again(members, pair):
    wanted = darec.stack(members, pair, fit=False).best
    best = members[-1].best
    path = members[-1].folder / "valid_predictions.safetensors"
    save_file({best.trial_id: np.full(630, 3, np.float32)}, path)
    assert darec.stack(members, pair, fit=False).best.valid_rmse == pytest.approx(wanted.valid_rmse)


def test_a_model_from_outside_can_be_a_member(members, pair, tmp_path):
    darec.register("mine", darec.models()["item_knn"], darec.Space({}))
    own = members[1].folder
    shutil.copytree(own, own.parent / "mine")
    for name in ("best.json", "study.json"):
        path = own.parent / "mine" / name
        path.write_text(json.dumps({**json.loads(path.read_text()), "model": "mine"}))
    mine = darec.load_result(own.parent / "mine")
    best = darec.stack([mine, members[2]], pair, fit=False).best
    assert {"mine", "fm"} == {member["model"] for member in best.config["members"]}
    kinds = {"mine": plugins.OUTSIDE.pop("mine")}  # a worker does not know it
    with pytest.raises(darec.UserError, match="there is no model 'mine'"):
        evaluate(kind_of("stack"), best, pair, 0, 0)
    assert evaluate(kind_of("stack"), best, pair, 0, 0, members=kinds)


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
