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


def test_what_is_kept_is_told_with_its_code(study, tiny_pair, done, caplog):
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
def test_a_lost_worker_costs_its_run_alone_and_the_way_on_is_told(
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


def test_a_damaged_file_at_a_uri_is_told_by_its_uri(study, tiny_pair, done, tmp_path):
    (tmp_path / "scores.jsonl").write_text("null\n")
    with pytest.raises(darec.UserError) as caught:
        darec.evaluate(study.as_uri(), tiny_pair, seeds=1)
    place = f"{tmp_path.as_uri()}/scores.jsonl, line 1: "
    assert str(caught.value) == f"{place}must be an object, but got None"


def test_other_code_of_a_model_from_outside_is_told(tmp_path, tiny_pair, done, caplog, monkeypatch):
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


def test_a_link_in_place_of_the_scores_is_told_before_anything_is_trained(
    study, tiny_pair, done, tmp_path
):
    (tmp_path / "target").write_text("")
    (tmp_path / "scores.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(darec.UserError, match=r"scores.jsonl: must be a plain file, but is a symb"):
        darec.evaluate(study, tiny_pair, seeds=1)
    assert not done and not (tmp_path / "target").read_text()
