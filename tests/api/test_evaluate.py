"""What an evaluation keeps, measures again, warns of and refuses; its runs are in this process."""

import json
import logging
import sys
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from typing import get_args

import pytest
import ray

import darec
from darec.api import runs
from darec.core.cold import ColdPolicy
from darec.provenance import code_digest, revision
from darec.tuning import storage
from tests.api.test_search import finished
from tests.pairs import timed
from tests.reporting import Recorder


@pytest.fixture
def done(monkeypatch):
    """The seeds of the runs that were done; a seed in ``lost`` loses its worker."""

    class Done(list):
        lost = ()

    found = Done()

    @contextmanager
    def pool(*_):
        def run_all(function, calls):
            for position, call in enumerate(calls):
                future, seed = Future(), call[3]
                if seed in found.lost:
                    future.set_exception(darec.UserError("a worker was lost: it died"))
                else:
                    future.set_result(function(*call))
                    found.append(seed)
                yield position, future

        yield run_all

    monkeypatch.setattr(runs, "pool", pool)
    return found


@pytest.fixture
def study(tmp_path, tiny_pair):
    return finished(tmp_path, tiny_pair, "mean")


def by_other_code(path):
    """Change the lines of a file to those of other code with an error of its own."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["origin"] |= {"revision": "old0000", "code_digest": "0" * 64}
        line |= {"test_rmse": 3.5, "beats_bias": False}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_what_is_kept_is_reported_with_its_code(study, tiny_pair, done, caplog):
    darec.evaluate(study, tiny_pair, seeds=2)
    recorder = Recorder()
    darec.evaluate(study, tiny_pair, seeds=3, reporter=recorder)
    told = f"kept the scores of 2 of 3 runs (revision {revision()}, code {code_digest()[:12]}, cpu)"
    assert recorder.lines[0] == told
    assert done == [0, 1, 2] and warnings(caplog) == []


def test_figures_of_lists_are_shown_with_what_they_are_not_for(study, tiny_pair, done):
    recorder = Recorder()
    scores = darec.evaluate(study, tiny_pair, seeds=2, reporter=recorder)
    title, shown = recorder.tables[-1]
    assert title.startswith("lists of 10 unseen items for ")
    means = scores.groupby("cold")["popularity_ndcg_at_10"].mean()
    assert shown.loc["by popularity", "NDCG@10"].startswith(f"{means['hierarchical']:.4f} ± ")
    assert recorder.has("the models are trained to predict ratings, not to rank items")
    assert darec.evaluate(study, tiny_pair, seeds=2).equals(scores) and done == [0, 1]


def test_scores_of_other_code_are_kept_with_a_warning_and_never_mixed_in_silence(
    study, tiny_pair, done, caplog, tmp_path
):
    darec.evaluate(study, tiny_pair, seeds=2)
    by_other_code(tmp_path / "scores.jsonl")
    recorder = Recorder()
    scores = darec.evaluate(study, tiny_pair, seeds=3, reporter=recorder)
    assert (scores["test_rmse"] == 3.5).tolist() == [True] * 6 + [False] * 3
    where = "(revision old0000, code 000000000000, cpu)"
    assert recorder.lines[0] == f"kept the scores of 2 of 3 runs {where}"
    kept, mixed = warnings(caplog)
    assert kept == f"2 of 3 runs keep scores of other code {where}; --fresh scores them again"
    assert mixed.startswith("9 scores mix different code, libraries or devices: 6 (revision old")
    assert mixed.endswith("; --fresh scores all of them again")
    assert recorder.tables[0][0].endswith("3 seeds (MIXED: scores of 2 origins)")


def test_fresh_measures_again_and_the_new_scores_count(study, tiny_pair, done, caplog, tmp_path):
    first = darec.evaluate(study, tiny_pair, seeds=2)
    by_other_code(tmp_path / "scores.jsonl")
    recorder = Recorder()
    again = darec.evaluate(study, tiny_pair, seeds=2, fresh=True, reporter=recorder)
    assert again.equals(first) and done == [0, 1, 0, 1]
    assert not recorder.has("kept") and recorder.has("Plan: 2 of 2 runs")
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == 12
    assert darec.evaluate(study, tiny_pair, seeds=2).equals(first)
    assert done == [0, 1, 0, 1] and warnings(caplog) == []


def test_scores_of_the_two_tasks_are_kept_apart(tmp_path, tiny_pair, done):
    warm = finished(tmp_path, tiny_pair, "shared_bias")
    cold = finished(tmp_path, tiny_pair, "shared_bias", 20)
    first, recorder = darec.evaluate(warm, tiny_pair, seeds=1), Recorder()
    scores = darec.evaluate(cold, tiny_pair, seeds=1, reporter=recorder)
    assert done == [0, 0] and first["shuffled_rmse"].isna().all()
    assert (
        scores["cold_users"].tolist() == [20] * len(get_args(ColdPolicy))
        and scores["shuffled_rmse"].notna().all()
    )
    assert recorder.tables[0][0] == "shared_bias on tiny, 20 % of the users cold, 1 seeds"
    assert darec.evaluate(cold, tiny_pair, seeds=1).equals(scores) and done == [0, 0]
    assert darec.evaluate(cold, tiny_pair, seeds=1, fresh=True).equals(scores)
    assert darec.evaluate(warm, tiny_pair, seeds=1).equals(first) and done == [0, 0, 0]


def test_scores_reach_their_uri_as_each_run_ends(study, tiny_pair, done, tmp_path, monkeypatch):
    there, seen = tmp_path / "scores.jsonl", []
    publish = storage.publish_lines

    def noted(path, uri):
        publish(path, uri)
        seen.append(len(there.read_text().splitlines()))

    monkeypatch.setattr(storage, "publish_lines", noted)
    darec.evaluate(study.as_uri(), tiny_pair, seeds=2)
    assert seen == [3, 6, 6]


def test_scores_that_a_uri_does_not_take_are_copied_with_the_next(
    study, tiny_pair, done, tmp_path, monkeypatch, caplog
):
    publish, tries = storage.publish_lines, []

    def broken(path, uri):
        tries.append(uri)
        if len(tries) == 1:
            raise darec.UserError("--out s3://b: cannot be used: the network is down")
        publish(path, uri)

    monkeypatch.setattr(storage, "publish_lines", broken)
    assert len(darec.evaluate(study.as_uri(), tiny_pair, seeds=2)) == 6
    assert "network is down; they are copied again" in caplog.text
    assert len((tmp_path / "scores.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize("fresh", [False, True])
def test_a_lost_worker_costs_its_run_alone_and_the_way_on_is_reported(
    study, tiny_pair, done, caplog, fresh
):
    done.lost = (1,)
    words = "1 of 3 runs have no score; run the same command again"
    words += "" if fresh else "; it keeps the scores of the other 2"
    with pytest.raises(darec.UserError) as caught:
        darec.evaluate(study, tiny_pair, seeds=3, fresh=fresh)
    assert str(caught.value) == words
    assert "mean, seed 1: no score: a worker was lost: it died" in caplog.text
    done.lost = ()
    assert len(darec.evaluate(study, tiny_pair, seeds=3)) == 9 and done == [0, 2, 1]


def test_nothing_is_kept_if_no_run_has_a_score(study, tiny_pair, done):
    done.lost = (0,)
    with pytest.raises(darec.UserError, match=r"have no score; run the same command again$"):
        darec.evaluate(study, tiny_pair, seeds=1)


def test_a_run_of_which_half_was_written_is_measured_again(
    study, tiny_pair, done, caplog, tmp_path
):
    first, path = darec.evaluate(study, tiny_pair, seeds=2), tmp_path / "scores.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    assert darec.evaluate(study, tiny_pair, seeds=2).equals(first) and done == [0, 1, 1]
    (told,) = warnings(caplog)
    assert told.startswith(f"{path}: half a line at the end is dropped")
    caplog.clear()
    assert darec.evaluate(study, tiny_pair, seeds=2).equals(first) and not warnings(caplog)


def test_a_forged_line_is_refused_before_anything_runs(study, tiny_pair, done, tmp_path):
    darec.evaluate(study, tiny_pair, seeds=1)
    path = tmp_path / "scores.jsonl"
    path.write_text(path.read_text().replace('"test_rmse": ', '"test_rmse": -'))
    for fresh in (False, True):
        with pytest.raises(darec.UserError, match=r"scores.jsonl, line 1: test_rmse must be gr"):
            darec.evaluate(study, tiny_pair, seeds=2, fresh=fresh)
    assert done == [0]


def test_a_damaged_file_at_a_uri_is_reported_by_its_uri(study, tiny_pair, done, tmp_path):
    (tmp_path / "scores.jsonl").write_text("null\n")
    with pytest.raises(darec.UserError) as caught:
        darec.evaluate(study.as_uri(), tiny_pair, seeds=1)
    place = f"{tmp_path.as_uri()}/scores.jsonl, line 1: "
    assert str(caught.value) == f"{place}must be an object, but got None"


def test_other_code_of_a_model_from_outside_is_reported(
    tmp_path, tiny_pair, done, caplog, monkeypatch
):
    """Here the module of the model is one that is written, imported, changed and read again."""
    text = (
        "from darec.models.bias import BiasConfig, build_bias\nfrom dataclasses import dataclass\n"
    )
    text += "@dataclass(frozen=True)\nclass MyConfig(BiasConfig):\n    PASSES = {}\n"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ray.cloudpickle, "register_pickle_by_value", lambda module: None)
    for passes in (1, 2):
        (tmp_path / "my_model.py").write_text(text.format(passes))
        monkeypatch.delitem(sys.modules, "my_model", raising=False)
        invalidate_caches()
        my_model = import_module("my_model")
        kind = darec.ModelKind(my_model.MyConfig, my_model.build_bias)
        darec.register("mine", kind, darec.Space({}))
        darec.evaluate(finished(tmp_path, tiny_pair, "mine"), tiny_pair, seeds=1)
    (told,) = warnings(caplog)
    assert told.startswith("1 of 1 runs keep scores of other code (revision ") and done == [0]


def test_a_link_in_place_of_the_scores_is_reported_before_anything_is_trained(
    study, tiny_pair, done, tmp_path
):
    (tmp_path / "target").write_text("")
    (tmp_path / "scores.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(darec.UserError, match=r"scores.jsonl: must be a plain file, but is a symb"):
        darec.evaluate(study, tiny_pair, seeds=1)
    assert not done and not (tmp_path / "target").read_text()


def test_seeds_of_a_temporal_split_are_training_runs_on_one_split(tmp_path, tiny_pair, done):
    pair = timed(tiny_pair)
    study, recorder = finished(tmp_path, pair, "bias", split="temporal"), Recorder()
    scores = darec.evaluate(study, pair, seeds=3, reporter=recorder)
    assert scores["split_seed"].unique().tolist() == [0] and scores["searched_split"].all()
    assert sorted(scores["run_seed"].unique()) == [0, 1, 2] and done == [0, 0, 0]
    (title, _), *_ = recorder.tables
    words = "90 % training, tested on the last ratings, 3 training runs on one split"
    assert title == f"bias on tiny, {words}"
    assert recorder.has("all runs are tested on the same ratings: the spread is that of training")
    assert recorder.has(" of 3 runs (cold=hierarchical)")
    others = darec.evaluate(finished(tmp_path, pair, "bias"), pair, seeds=3)
    assert others["test_rmse"].iloc[0] != scores["test_rmse"].iloc[0] and len(done) == 6
    kept = darec.evaluate(study, pair, seeds=3)
    assert len(done) == 6 and kept.equals(scores)  # scores of two splits are kept apart


def test_a_table_of_several_models_says_what_its_means_are_over(tmp_path, tiny_pair, done):
    pair = timed(tiny_pair)
    studies = [finished(tmp_path, pair, name, split="user-temporal") for name in ("bias", "mean")]
    recorder = Recorder()
    darec.evaluate(studies, pair, seeds=2, reporter=recorder)
    titles = [title for title, _ in recorder.tables]
    words = "90 % training, tested on each user's last ratings, 2 training runs on one split"
    assert f"RMSE on tiny, {words}, mean ± sd" in titles
    mixed = [studies[0], finished(tmp_path, pair, "mean")]
    told = "different tasks do not go together: 90 % training, tested on each user's last"
    with pytest.raises(darec.UserError, match=told):
        darec.evaluate(mixed, pair, seeds=2)


def test_folds_test_on_every_rating_once_with_the_searched_configuration(
    study, tiny_pair, done, tmp_path
):
    recorder = Recorder()
    scores = darec.evaluate(study, tiny_pair, folds=4, reporter=recorder)
    assert scores["fold"].tolist() == [n for n in (1, 2, 3, 4) for _ in range(3)]
    assert (scores["folds"] == 4).all() and not scores["searched_split"].any()
    each = scores.drop_duplicates("fold")
    assert each["n_test"].sum() == len(tiny_pair.target)
    title, _ = recorder.tables[0]
    assert title == "mean on tiny, searched on 90 % training, cross-validated, 4 folds"
    assert recorder.has("split fold 2 of 4 run 1: epoch 1") and recorder.has(" of 4 folds")
    assert not recorder.has("all runs are tested on the same ratings")
    darec.evaluate(study, tiny_pair, folds=4)
    assert len(done) == 4  # kept
    darec.evaluate(study, tiny_pair, folds=3)
    seeds = darec.evaluate(study, tiny_pair, seeds=1)
    assert len(done) == 8 and seeds["searched_split"].all() and seeds["fold"].isna().all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folds": 1}, "--folds must be at least 2, but got 1"),
        ({"folds": 2.5}, "--folds must be a whole number"),
        ({"folds": 5, "seeds": 5}, "give either --folds or --seeds"),
        ({"folds": 5, "same_split": True}, "give either --folds or --same-split"),
        ({"folds": 10**6}, "ratings are too few for 1000000 folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(study, tiny_pair, options, told):
    with pytest.raises(darec.UserError, match=told):
        darec.evaluate(study, tiny_pair, **options)


def test_folds_are_of_random_splits_alone(tmp_path, tiny_pair):
    pair = timed(tiny_pair)
    for options, words in (
        ({"split": "temporal"}, "tested on the last ratings"),
        ({"cold_users": 20}, "20 % of the users cold"),
    ):
        study = finished(tmp_path, pair, "bias", **options)
        told = f"--folds deal ratings at random, but the search has .*{words}"
        with pytest.raises(darec.UserError, match=told):
            darec.evaluate(study, pair, folds=3)
