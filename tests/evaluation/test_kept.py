import json
from dataclasses import asdict

import pytest

from darec.errors import UserError
from darec.evaluation import kept
from darec.evaluation.scores import Score
from tests.evaluation.made import (
    HERE,
    ON_A_GPU,
    OTHER_CODE,
    OTHER_LIBRARY,
    run_of,
    score_of,
)


def line_of(score, **changed):
    """The line of a score, with these fields changed; a dot leads into ``origin``."""
    values = asdict(score)
    for name, value in changed.items():
        inner, _, field = name.rpartition("__")
        (values[inner] if inner else values)[field] = value
    return json.dumps(values) + "\n"


def test_scores_are_appended_and_read_back(tmp_path):
    path = tmp_path / "scores.jsonl"
    assert kept.read(path, Score) == []
    kept.append(path, run_of(0))
    kept.append(path, run_of(1))
    assert kept.read(path, Score) == [*run_of(0), *run_of(1)]
    cold = score_of(cold_users=20, shuffled_rmse=1.2)
    kept.append(path, [cold])
    assert kept.read(path, Score)[-1] == cold


def test_half_a_line_at_the_end_is_dropped_with_a_warning_and_then_replaced(tmp_path, caplog):
    path = tmp_path / "scores.jsonl"
    kept.append(path, run_of(0))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 4])
    assert kept.read(path, Score, "s3://b/scores.jsonl") == run_of(0)
    assert "s3://b/scores.jsonl: half a line at the end is dropped" in caplog.text
    caplog.clear()
    kept.append(path, run_of(1))
    assert kept.read(path, Score) == [*run_of(0), *run_of(1)] and not caplog.text


WRONG = [
    ("null\n", "must be an object, but got None"),
    ("3\n", "must be an object, but got 3"),
    ("\n", "is not JSON"),
    ('{"model": "bias", "pa\n', "is not JSON"),
    ("\xff\n", "is not JSON"),
    (line_of(score_of(), test_rmse=-3.0), "test_rmse must be greater than or equal to 0, but got"),
    (
        line_of(score_of(), test_rmse=4.1),
        "test_rmse must be at most 4, the range of the",
    ),
    (line_of(score_of(), test_rmse="1.1"), "test_rmse must be a valid number, but got '1.1'"),
    (
        line_of(score_of(), test_rmse=float("nan")),
        "test_rmse must be greater than or equal to 0, but got nan",
    ),
    (line_of(score_of(), rmse_both=float("inf")), "is not JSON|rmse_both must be"),
    (line_of(score_of(), config={"a": float("nan")}), "is not JSON|must be a finite"),
    (line_of(score_of(), test_rmse=None), "test_rmse must be a valid number, but got None"),
    (
        line_of(score_of(), test_rmse=0.4),
        "beats_bias must be whether test_rmse is below bias_rmse",
    ),
    (
        line_of(score_of(), hierarchical_rmse=1.5),
        "beats_hierarchical must be whether test_rmse is below hierarchical_rmse",
    ),
    (line_of(score_of(), n_test=0), "n_test must be greater than or equal to 1, but got 0"),
    (line_of(score_of(), refit=0), "refit must be a valid boolean, but got 0"),
    (
        line_of(score_of(), cold="warm"),
        "cold must be 'hierarchical', 'fallback' or 'floor', but got 'warm'",
    ),
    (line_of(score_of(), train=70), "train must be 90 or 80, but got 70"),
    (line_of(score_of(), cold_users=30), "cold_users must be 20, 50 or 80, but got 30"),
    (line_of(score_of(), cold_users=20), "shuffled_rmse must be null in the warm task, and only"),
    (line_of(score_of(), shuffled_rmse=1.0), "shuffled_rmse must be null in the warm task"),
    (line_of(score_of(), config=[1]), r"config must be an object, but got \[1\]"),
    (line_of(score_of(), cold_share=1.5), "cold_share must be less than or equal to 1, but"),
    (line_of(score_of(), warm_rmse=None), "warm_rmse must be null if all test ratings are cold"),
    (line_of(score_of(), epoch=4), "epoch must be at most max_epochs 3, but got 4"),
    (
        line_of(score_of(), ranking__users=0),
        "ranking.users must be greater than or equal to 1",
    ),
    (
        line_of(score_of(), ranking__bias={"ndcg_at_10": 1.1}),
        "ranking.bias.ndcg_at_10 must be less than or equal to 1, but got 1.1",
    ),
    (line_of(score_of(), cold="floor"), "ranking must be null under cold=floor"),
    (line_of(score_of(), more=1), "has no field 'more'"),
    (line_of(score_of(), origin=None), "origin must be an object, but got None"),
    (line_of(score_of(), origin__code_digest="x"), "origin.code_digest must match|String should"),
    (line_of(score_of(), origin__versions={"torch": "2.13.0"}), "versions must have a release of"),
    (line_of(score_of(), origin__versions={"torch": 2}), "origin.versions.torch must be a valid"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_a_line_that_is_no_possible_score_is_reported_with_its_number(tmp_path, wrong, words):
    path = tmp_path / "scores.jsonl"
    kept.append(path, [score_of()])
    path.write_bytes(path.read_bytes() + wrong.encode("latin-1") + path.read_bytes())
    with pytest.raises(UserError, match=words) as caught:
        kept.read(path, Score)
    assert str(caught.value).startswith(f"{path}, line 2: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"data_digest": "e"},
        {"model": "mean"},
        {"config": {"reg_user": 2.0}},
        {"train": 80},
        {"cold_users": 20, "shuffled_rmse": 1.0},
        {"split_seed": 1},
        {"run_seed": 1},
        {"refit": True},
        {"max_epochs": 4},
        {"cold": "floor"},
    ],
)
def test_a_score_of_another_run_has_another_key(changed):
    assert score_of(**changed).key != score_of().key


def test_a_score_has_the_same_key_wherever_it_comes_from():
    assert {score_of(origin=each).key for each in (HERE, OTHER_CODE, ON_A_GPU)} == {score_of().key}


KEYS = [score.key for score in run_of()]


def chosen(*runs):
    """The test RMSE of the run that counts."""
    found = kept.of_run(kept.by_key([score for run in runs for score in run]), KEYS, HERE)
    assert len({score.test_rmse for score in found}) == 1 and len(found) == len(KEYS)
    return found[0].test_rmse


@pytest.mark.parametrize("elsewhere", [OTHER_CODE, OTHER_LIBRARY, ON_A_GPU])
def test_the_run_of_this_code_counts_before_others_and_the_last_before_earlier_ones(elsewhere):
    others = [run_of(test_rmse=rmse, origin=elsewhere) for rmse in (1.3, 1.4)]
    own = [run_of(test_rmse=rmse) for rmse in (1.1, 1.2)]
    assert chosen(*others) == 1.4
    assert chosen(*own) == chosen(*own, *others) == chosen(*others, *own) == 1.2


def test_a_run_counts_if_it_has_a_score_under_every_policy():
    (first, *_), whole = run_of(test_rmse=1.2), run_of(test_rmse=1.3, origin=OTHER_CODE)
    assert kept.of_run(kept.by_key([first]), KEYS, HERE) == []
    assert kept.of_run(kept.by_key([*whole, first]), KEYS, HERE) == whole
    assert kept.of_run({}, KEYS, HERE) == []


def test_a_whole_last_line_without_its_line_break_is_kept(tmp_path):
    path, score = tmp_path / "scores.jsonl", score_of()
    kept.append(path, [score])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert kept.read(path, Score) == [score]
    kept.append(path, [score])
    assert kept.read(path, Score) == [score, score]
