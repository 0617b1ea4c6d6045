import json
from dataclasses import asdict, replace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from darec.errors import UserError
from darec.files import digest_of
from darec.models.best import SpaceRecord, read_best
from darec.tuning.study.identity import (
    finished_study,
    identity_of,
    impossible,
    load_best,
)
from darec.tuning.study.record import load_study, space_json
from search_spaces import Space
from tests.winners import saved, winner_of

SPACE = Space(
    {"reg_user": FloatDistribution(1.0, 10.0), "reg_item": CategoricalDistribution([2.0, 4.0])}
)
CONFIG = {"reg_user": 5.0, "reg_item": 2.0}
NEVER = "config: {}, which the search never draws"


@pytest.fixture
def best(tmp_path):
    """A winner of the bias baseline, with its study and its weights."""
    (tmp_path / "best.safetensors").write_bytes(b"weights")
    digest = digest_of(tmp_path / "best.safetensors")
    space = SpaceRecord(**space_json(SPACE))
    best = winner_of("bias", config=CONFIG, space=space, weights_digest=digest)
    saved(best, tmp_path)
    return best


def asked_of(best, folder):
    return identity_of(load_study(folder), best.model, best.space, "target", best.trials_asked)


def change(folder, **changed):
    """Edit ``best.json``."""
    path = folder / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_a_winner_is_read_back_and_used_again(best, tmp_path):
    assert load_best(tmp_path) == read_best(tmp_path) == best
    assert finished_study(tmp_path, str(tmp_path), asked_of(best, tmp_path)) == best


OTHERS = {
    "model": "shared_bias",
    "pair": "other",
    "train": 80,
    "cold_users": 20,
    "split": "temporal",
    "seed": 1,
    "data_digest": "other",
    "sampler": "random",
    "scheduler": "none",
    "domain": "source",
    "trials_asked": 500,
    "max_epochs": 9,
    "time_budget": 60.0,
    "stop_when_flat": True,
    "metric": "mae",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_study_of_which_something_else_was_asked_is_not_used(best, tmp_path, name):
    asked = replace(asked_of(best, tmp_path), **{name: OTHERS[name]})
    place, value = "s3://b/study", getattr(best, name)
    words = f"^{place}/best.json: {name} is {value}, but the search asks for {OTHERS[name]}; delete"
    with pytest.raises(UserError, match=words):
        finished_study(tmp_path, place, asked)
    if name != "model":  # the space of the other model has other names
        change(tmp_path, **{name: OTHERS[name]})
        words = f"best.json: {name} is {OTHERS[name]}, but the search asks for {value}"
        with pytest.raises(UserError, match=words):
            load_best(tmp_path)


def test_every_field_of_an_identity_is_compared(best, tmp_path):
    assert {*OTHERS, "space"} == asdict(asked_of(best, tmp_path)).keys()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Space(SPACE.space, {"more": 1}), "space.fixed.more is None, but the search asks for 1"),
        (
            SPACE.fix({"reg_item": 2.0}),
            "space.drawn.reg_item is {.*}, but .* asks for None",
        ),
        (
            Space({**SPACE.space, "reg_user": FloatDistribution(1.0, 11.0)}),
            "space.drawn.reg_user.attributes.high is 10.0, but the search asks for 11.0",
        ),
        (replace(SPACE, first=CONFIG), "space.start.reg_user is None, but the search asks for 5.0"),
    ],
)
def test_a_study_of_another_space_is_not_used(best, tmp_path, other, words):
    asked = replace(asked_of(best, tmp_path), space=SpaceRecord(**space_json(other)))
    with pytest.raises(UserError, match=words):
        finished_study(tmp_path, str(tmp_path), asked)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"valid_rmse": -1.0}, "valid_rmse must be greater than or equal to 0, but got -1.0"),
        ({"valid_rmse": float("nan")}, "valid_rmse must be a finite number, but got nan"),
        ({"valid_rmse": None}, "valid_rmse must be a valid number, but got None"),
        ({"epoch": 99}, "epoch must be at most max_epochs 3, but got 99"),
        ({"epoch": 0}, "epoch must be greater than or equal to 1, but got 0"),
        ({"trials": 0}, "trials must be greater than or equal to 1, but got 0"),
        ({"trials": 7}, "trials must be at most trials_asked 6, but got 7"),
        ({"seed": "0"}, "seed must be a valid integer, but got '0'"),
        ({"seed": 0.5}, "seed must be a valid integer, but got 0.5"),
        ({"train": 70}, "train must be 90 or 80, but got 70"),
        ({"domain": "both"}, "domain must be 'target' or 'source', but got 'both'"),
        ({"config": []}, r"config must be an object, but got \[\]"),
        ({"config": {"reg": 1.0}}, "BiasConfig has no field 'reg'"),
        (
            {"config": {**CONFIG, "reg_user": 0.5}},
            NEVER.format("reg_user is 0.5"),
        ),
        (
            {"config": {**CONFIG, "reg_item": 3.0}},
            NEVER.format("reg_item is 3.0"),
        ),
        ({"config": {"reg_item": 2.0}}, NEVER.format("reg_user is None")),
        ({"model": "unknown"}, "there is no model 'unknown'"),
        ({"note": ""}, "has no field 'note'"),
    ],
)
def test_an_impossible_winner_is_refused(best, tmp_path, changed, words):
    change(tmp_path, **changed)
    with pytest.raises(UserError, match=f"^{tmp_path}/best.json: {words}"):
        load_best(tmp_path)
    with pytest.raises(UserError, match=f"^s3://b/best.json: {words}"):
        finished_study(tmp_path, "s3://b", asked_of(best, tmp_path))


def test_a_config_that_is_not_what_was_held_fixed_is_refused(tmp_path):
    space = SpaceRecord({}, {"reg_user": 1.0, "reg_item": 2.0}, {})
    saved(winner_of("bias", config=CONFIG, space=space), tmp_path)
    with pytest.raises(UserError, match=r"config: reg_user is 5\.0, but the search holds it fixed"):
        load_best(tmp_path)


def test_a_config_with_tuples_is_possible_in_its_own_space():
    layers = CategoricalDistribution(["a", "b"])
    space = SpaceRecord(**space_json(Space({"net/kind": layers}, {"net/sizes": (64, 32)})))
    assert space.fixed == {"net/sizes": [64, 32]}
    assert impossible({"net": {"kind": "a", "sizes": (64, 32)}}, space) == ""
    assert "net/sizes is [64]" in impossible({"net/kind": "a", "net/sizes": (64,)}, space)
    assert "net/kind is c" in impossible({"net/kind": "c", "net/sizes": (64, 32)}, space)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\x00", b"[" * 10**5, None])
def test_a_damaged_winner_is_reported_in_one_line(best, tmp_path, content):
    path = tmp_path / "best.json"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path}: (is not JSON|must be an|cannot be)") as caught:
        load_best(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_winner_without_its_study_is_not_read(best, tmp_path):
    (tmp_path / "study.json").unlink()
    with pytest.raises(UserError, match=r"/study.json: cannot be read: No such .*; delete"):
        load_best(tmp_path)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (b"other weights", "its SHA-256 is .*, but best.json names"),
        (None, "cannot be read: No such"),
    ],
)
def test_a_study_with_other_weights_or_none_is_not_used(best, tmp_path, weights, words):
    path = tmp_path / "best.safetensors"
    path.unlink() if weights is None else path.write_bytes(weights)
    with pytest.raises(UserError, match=f"{path}: {words}"):
        finished_study(tmp_path, str(tmp_path), asked_of(best, tmp_path))
