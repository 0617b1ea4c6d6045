"""A search and its evaluation from Python, as in a notebook."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import optuna
import pandas as pd
import pytest
import ray
import torch
from safetensors.numpy import load_file

import darec
from darec.api import runs, search
from darec.api.result import finished_searches
from darec.core.threads import torch_threads
from darec.data.holdout import Holdout
from darec.data.split import split
from darec.files import digest_of
from darec.models import plugins
from darec.models.best import read_best, study_folder
from darec.models.bias import BiasConfig, build_bias
from darec.tuning.study.journal import open_journal
from darec.tuning.study.results import COLUMNS
from darec.tuning.trial.stage1_cache import ClusterCache
from tests.pairs import timed
from tests.reporting import Recorder, printed
from tests.winners import saved, winner_of, winner_on

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "grid"}, "--sampler must be one of tpe, .* but got 'grid'"),
        ({"scheduler": "pbt"}, "--scheduler must be one of asha, .* but got 'pbt'"),
        ({"train": 70}, "--train must be one of 90, 80, but got 70"),
        ({"task": "cold"}, "--task must be one of warm, cold_users, but got 'cold'"),
        ({"task": "cold_users", "cold_share": 30}, "--cold-share must be one of 20, 50, 80, but"),
        ({"cold_share": 50}, "--cold-share 50 needs --task cold_users"),
        (
            {"split": "time"},
            "--split must be one of random, temporal, user-temporal, file, but",
        ),
        ({"split": "temporal"}, "tiny: --split temporal needs the time of each rating, but in the"),
        ({"split": "file", "train": 80}, "--train 80: with --split file the pair's split file"),
        ({"task": "cold_users", "split": "file"}, "--split file needs --task warm, but got"),
        ({"task": "cold_users", "train": 80}, "--train 80 needs --task warm; --task cold_users"),
        ({"stages": "both"}, "--stages must be one of paper, joint, but got 'both'"),
        ({"trials": 0}, "--trials must be a whole number of at least 1, but got 0"),
        ({"trials": 2.5}, "--trials must be a whole number of at least 1, but got 2.5"),
        ({"stage1_trials": 0}, "--stage1-trials must be a whole number of at least 1, but got 0"),
        ({"at_once": -3}, "--at-once must be a whole number of at least 1, but got -3"),
        ({"cpus_per_trial": 0}, "--cpus-per-trial must be a finite number of at least 0.0001, but"),
        ({"cpus_per_trial": NAN}, "--cpus-per-trial must be a finite number .* but got nan"),
        ({"cpus_per_trial": INF}, "--cpus-per-trial must be a finite number .* but got inf"),
        ({"gpus_per_trial": -1}, "--gpus-per-trial must be 0, a share from 0.0001 to 1, or a whol"),
        ({"gpus_per_trial": NAN}, "--gpus-per-trial must be .* or a whole number, but got nan"),
        ({"gpus_per_trial": INF}, "--gpus-per-trial must be .* or a whole number, but got inf"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial must be .* or a whole number, but got 1.5"),
        ({"gpus_per_trial": 1e-9}, "--gpus-per-trial must be .* or a whole number, but got 1e-09"),
        ({"gpus_per_trial": True}, "--gpus-per-trial must be .* or a whole number, but got True"),
        ({"time_budget": -1}, "--time-budget must be a number above 0, but got -1"),
        ({"time_budget": NAN}, "--time-budget must be a number above 0, but got nan"),
        ({"trial_limit": NAN}, "--trial-limit must be a number above 0, but got nan"),
        ({"trials": NAN}, "--trials must be a whole number of at least 1, but got nan"),
        ({"trials": INF}, "--trials must be a whole number of at least 1, but got inf"),
        ({"fix": ["reg_user=1"]}, r"--fix must map names to values, but got \['reg_user=1'\]"),
        ({"fix": {1: 2}}, r"--fix must map names to values, but got \{1: 2\}"),
        (
            {"fix": {"reg_user": "abc"}},
            "--fix: BiasConfig.reg_user must be a valid number, but g",
        ),
        ({"fix": {"reg_user": NAN}}, "--fix: reg_user must be a finite number or another JSON val"),
        ({"fix": {"reg_user": {}}}, r"--fix: reg_user must have a value, but got \{\}"),
        ({"seed": 0.5}, "--seed must be a whole number, but got 0.5"),
        ({"trial_limit": 0}, "--trial-limit must be a number above 0, but got 0"),
    ],
)
def test_wrong_arguments_are_refused_before_ray_is_started(tiny_pair, tmp_path, options, words):
    with pytest.raises(darec.UserError, match=words):
        darec.search("bias", tiny_pair, out=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_reported(tiny_pair, tmp_path):
    with pytest.raises(darec.UserError, match="no search here; run one first"):
        darec.load_result(tmp_path)
    with pytest.raises(darec.UserError, match="no search here"):
        darec.evaluate(tmp_path, tiny_pair)
    unfinished = darec.SearchResult(str(tmp_path / "a" / "b"), tmp_path)
    assert not unfinished.finished
    for ask in (lambda: unfinished.trials, lambda: unfinished.best, unfinished.resume):
        with pytest.raises(darec.UserError):
            ask()


@pytest.mark.ray
def test_a_search_and_its_scores_come_as_tables_and_nothing_is_printed(
    cluster, tiny_pair, tmp_path, capfd
):
    recorder = Recorder()
    options = {"trials": 3, "max_epochs": 2, "out": tmp_path, "reporter": recorder}
    result = darec.search("bias", tiny_pair, **options)
    assert result.finished and result.best.model == "bias"
    assert result.path == str(tmp_path / "tiny-90" / "bias") and result.out == str(tmp_path)
    trials = result.trials
    assert (
        len(trials) == 3
        and list(trials["failures"]) == [""] * 3
        and trials["best_valid_rmse"].min() == result.best.valid_rmse
    )
    assert result.resume() is result
    assert recorder.has("Plan: bias on tiny") and recorder.has("Winner: trial")
    assert recorder.has(f"model: {result.path}/model")
    loaded = darec.load(tmp_path / "tiny-90" / "bias" / "model")
    assert loaded.card.valid_rmse == result.best.valid_rmse and not loaded.card.scores
    with pytest.raises(darec.UserError, match="holds a search already"):
        darec.search("bias", tiny_pair, **options)
    scores = darec.evaluate(result, tiny_pair, seeds=2, at_once=1, reporter=recorder)
    policies = ["hierarchical", "fallback", "floor"]
    assert len(scores) == 6 and set(scores["cold"]) == set(policies)
    card = darec.load(tmp_path / "tiny-90" / "bias" / "model").card
    assert [(each.cold, each.seeds) for each in card.scores] == [(each, 2) for each in policies]
    assert darec.load(result.fit(refit="all")).card.counts.target_ratings == len(tiny_pair.target)
    again = darec.evaluate(result.path, tiny_pair, seeds=2, at_once=1)
    assert again.equals(scores)
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["test_rmse"] for line in lines) == sorted(scores["test_rmse"])
    other = replace(tiny_pair, source=tiny_pair.target, source_item_ids=tiny_pair.target_item_ids)
    with pytest.raises(darec.UserError, match="its ratings are not those the search saw"):
        darec.evaluate(result, other)
    assert printed(capfd) == []


class Interrupting(Recorder):
    """Presses Ctrl-C when the first trial has an epoch."""

    @contextmanager
    def study(self):
        def show(view):
            if view.best and not self.views:
                self.views.append(view)
                os.kill(os.getpid(), signal.SIGINT)

        yield show


@pytest.mark.ray
def test_an_interrupted_search_is_not_finished_and_resumes(
    cluster, tiny_pair, tmp_path, monkeypatch
):
    monkeypatch.setattr("darec.tuning.study.progress.EVERY_S", 0.0)
    options = {"trials": 40, "max_epochs": 4, "out": tmp_path}
    result = darec.search("bias", tiny_pair, reporter=Interrupting(), **options)
    assert not result.finished
    with pytest.raises(darec.UserError, match="the search is not finished"):
        _ = result.trials
    resumed = result.resume()
    assert resumed.finished and len(resumed.trials) == 40


@pytest.mark.ray
def test_a_model_as_printed_is_searched_and_recorded_as_such(cluster, tiny_pair, tmp_path):
    options = {"trials": 1, "max_epochs": 1, "out": tmp_path, "fit": False, "paper": True}
    config = darec.search("u_autorec", tiny_pair, **options).best.config
    assert (config["center"], config["activation"]) == ("none", "sigmoid")
    study = json.loads((tmp_path / "tiny-90" / "u_autorec" / "study.json").read_text())
    assert study["paper"] is True and set(study["space"]["drawn"]) == {"hidden", "alpha"}


@pytest.mark.ray
def test_messages_are_logged_by_default(cluster, tiny_pair, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="darec")
    darec.search("mean", tiny_pair, out=tmp_path)
    assert any("Winner: trial" in record.message for record in caplog.records)


SCRIPT = """
import sys
from dataclasses import dataclass

import numpy as np
from optuna.distributions import FloatDistribution

import darec
from darec.data.synthetic import planted_pair
from darec.paper import Counts


@dataclass(frozen=True)
class DampedConfig:
    damping: float = 5.0


class Damped:
    domains = ("target",)

    def __init__(self, config, training, run):
        ratings = training.target
        self.mean = ratings.values.mean()
        sums = np.bincount(ratings.items, ratings.values - self.mean, ratings.n_items)
        self.offset = sums / (ratings.item_counts + config.damping)

    def train_epoch(self):
        return {"loss": 0.0}

    def predict(self, users, items, domain="target"):
        return (self.mean + self.offset[items]).astype(np.float32)

    def weights(self):
        import torch
        return {"offset": torch.tensor(self.offset)}

    def load_weights(self, weights):
        self.offset = weights["offset"].numpy()

    def state_dict(self):
        return self.weights()

    def load_state_dict(self, state):
        self.load_weights(state)


darec.register(
    "damped",
    darec.ModelKind(DampedConfig, Damped, whole_fit=True, cpu_only=True),
    darec.Space({"damping": FloatDistribution(0.1, 100.0, log=True)}, first={"damping": 5.0}),
)
pair = planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))
result = darec.search("damped", pair, trials=2, at_once=1, out=sys.argv[1])
scores = darec.evaluate(result, pair, seeds=2, at_once=2)
print("RAN", len(result.trials), len(scores), result.best.valid_rmse < 1.2)
"""


@pytest.mark.ray
def test_a_model_of_a_script_is_searched_and_evaluated(tmp_path):
    """Its classes exist in the script alone, so they travel to the workers by value."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout == "RAN 2 6 True\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seeds": 0}, "--seeds must be a whole number of at least 1, but got 0"),
        ({"threads": 0}, "--threads must be a whole number of at least 1, but got 0"),
        ({"at_once": 0}, "--at-once must be a whole number of at least 1, but got 0"),
        ({"device": "gpu"}, "--device must be one of cpu, cuda, but got 'gpu'"),
    ],
)
def test_wrong_arguments_of_an_evaluation_are_refused(tiny_pair, options, words):
    with pytest.raises(darec.UserError, match=words):
        darec.evaluate([], tiny_pair, **options)
    with pytest.raises(darec.UserError, match="no search was given"):
        darec.evaluate([], tiny_pair)


def finished(folder, pair, model, cold_users=None, split="random"):
    """A search that seems to be finished, of the mean or of a model like it."""
    study = study_folder(folder, pair.name, Holdout(90, cold_users, split), model)
    saved(winner_on(pair, model, max_epochs=1, cold_users=cold_users, split=split), study)
    return study


HEADER = ",".join(COLUMNS)
ROW = "t,completed,,1.0,1,1,1.0,"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read: No columns"),
        (b"\xff\xfe\x00\x80", "cannot be read: 'utf-8' codec"),
        (None, "cannot be read: No such file or directory; delete"),
        (b"a\n1\n", "lacks the columns trial_id, ended"),
        (HEADER.encode(), "must have 6 trials as in best.json"),
        (f"{HEADER}\n{ROW}".encode(), "must have 6 trials"),
        ("\n".join([HEADER, *["1" + ROW] * 6]).encode(), "trial_id must begin with t as in best"),
        ("\n".join([HEADER, *[ROW.replace("1.0,", "0.5,")] * 6]).encode(), "best_valid_rmse must"),
    ],
)
def test_a_damaged_table_of_trials_is_reported(tiny_pair, tmp_path, content, words):
    study = finished(tmp_path, tiny_pair, "mean")
    result = darec.load_result(study)
    (study / "trials.csv").write_text("\n".join([HEADER, *[ROW] * 6]))
    assert len(result.trials) == 6
    if content is None:
        (study / "trials.csv").unlink()
    else:
        (study / "trials.csv").write_bytes(content)
    with pytest.raises(darec.UserError, match=f"^{study}/trials.csv: .*{words}") as caught:
        _ = result.trials
    assert "\n" not in str(caught.value)


def test_trial_ids_are_text(tiny_pair, tmp_path):
    """Ids are hexadecimal, so that some look like numbers."""
    study = finished(tmp_path, tiny_pair, "mean")
    saved(winner_on(tiny_pair, "mean", max_epochs=1, trials=1, trial_id="0012e456"), study)
    (study / "trials.csv").write_text(f"{HEADER}\n{ROW.replace('t,', '0012e456,', 1)}\n")
    assert list(darec.load_result(study).trials["trial_id"]) == ["0012e456"]


def test_a_search_in_the_folder_of_another_model_is_reported(tiny_pair, tmp_path):
    study = finished(tmp_path, tiny_pair, "mean")
    assert finished_searches(["mean", "bias"], tiny_pair, Holdout(), str(tmp_path), required=False)
    study.rename(study.parent / "bias")
    with pytest.raises(darec.UserError, match="must be the winner of tiny-90/bias, but is"):
        finished_searches(["mean", "bias"], tiny_pair, Holdout(), str(tmp_path), required=False)


def test_a_finished_search_is_only_taken_as_it_was_asked_for(tiny_pair, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "connected", None)  # Ray is not needed
    study = tmp_path / "tiny-90" / "mean"
    weights = study / "best.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    options = {"trials": 1, "stage1_trials": 1, "max_epochs": 1, "fit": False}
    best = winner_on(tiny_pair, "mean", trials_asked=1, trials=1, max_epochs=1)
    best = replace(best, weights_digest=digest_of(weights))
    (study / "trials.csv").write_text(f"{HEADER}\n{ROW}\n")
    saved(best, study)
    result = darec.search("mean", tiny_pair, out=tmp_path, resume=True, **options)
    assert result.best == best
    with pytest.raises(darec.UserError, match=r"best\.safetensors: must be a safe"):
        result.fit(refit="train")

    def refused(words):
        with pytest.raises(darec.UserError, match=words):
            darec.search("mean", tiny_pair, out=tmp_path, resume=True, **options)

    saved(replace(best, seed=1), study, seed=0)
    refused("best.json: seed is 1, but the search asks")
    saved(best, study)
    weights.write_bytes(b"other weights")
    refused("best.safetensors: its SHA-256 is .*, but best.json names")
    (study / "study.json").unlink()
    refused("best.json is there without study.json")


def test_searches_of_the_two_tasks_have_folders_of_their_own(tiny_pair, tmp_path):
    warm, cold = finished(tmp_path, tiny_pair, "mean"), finished(tmp_path, tiny_pair, "bias", 50)
    models, out = ["mean", "bias"], str(tmp_path)
    (found,) = finished_searches(models, tiny_pair, Holdout(cold_users=50), out, required=False)
    assert found.folder == cold and cold == tmp_path / "tiny-cold50" / "bias"
    (found,) = finished_searches(models, tiny_pair, Holdout(), out, required=False)
    assert found.folder == warm
    with pytest.raises(darec.UserError, match="no finished search of tiny-cold20; run one first"):
        finished_searches(models, tiny_pair, Holdout(cold_users=20), out, required=False)
    with pytest.raises(darec.UserError, match="do not go together: 90 % training; 50 % of the"):
        darec.evaluate([warm, cold], tiny_pair)
    cold.rename(warm.parent / "bias")
    with pytest.raises(darec.UserError, match="winner of tiny-90/bias, but is that of tiny-cold50"):
        finished_searches(models, tiny_pair, Holdout(), out, required=False)


def test_a_model_that_cannot_predict_cold_users_is_refused(tiny_pair, tmp_path):
    told = "--task cold_users: i_autorec cannot predict users without target ratings; these can: "
    with pytest.raises(darec.UserError, match=told):
        darec.search("i_autorec", tiny_pair, task="cold_users", out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.ray
def test_a_search_for_cold_users_and_its_scores(cluster, tiny_pair, tmp_path):
    options = {"trials": 2, "max_epochs": 3, "out": tmp_path, "fix": {"hidden": 100}}
    result = darec.search("u_darec", tiny_pair, task="cold_users", cold_share=50, **options)
    assert result.folder == tmp_path / "tiny-cold50" / "u_darec" and result.best.cold_users == 50
    scores = darec.evaluate(result, tiny_pair, seeds=1)
    assert (scores["cold_users"] == 50).all() and (scores["shuffled_rmse"] > 0).all()
    assert darec.load(f"{result.path}/model").card.refit == "all"
    model = darec.load(result.fit(refit="train"))
    assert model.card.cold_users == 50 and len(model.card.scores) == 3
    parts = split(tiny_pair, Holdout(cold_users=50))
    cold = parts.test.users[0]
    user, item = tiny_pair.user_ids[cold], tiny_pair.target_item_ids[0]
    assert not model.explain(user, item).cold_user  # it answers from the source by default
    assert darec.load(f"{result.path}/model", cold="fallback").explain(user, item).cold_user


@pytest.mark.ray
def test_a_search_of_a_temporal_split_and_its_scores(cluster, tiny_pair, tmp_path):
    pair = timed(tiny_pair)
    options = {"trials": 2, "max_epochs": 2, "out": tmp_path, "split": "temporal"}
    result = darec.search("bias", pair, train=80, **options)
    assert result.folder == tmp_path / "tiny-80-temporal" / "bias"
    assert result.best.holdout == Holdout(80, split="temporal")
    scores = darec.evaluate(result, pair, seeds=2)
    assert (scores["split"] == "temporal").all() and scores["searched_split"].all()
    assert len(scores) == 6 and scores["n_test"].tolist() == [360] * 6
    card = darec.load(f"{result.path}/model").card
    assert card.holdout == result.best.holdout and len(card.scores) == 3
    told = "needs the same --split: the search there has temporal, but you asked for random"
    with pytest.raises(darec.UserError, match=told):
        result.folder.rename(result.folder.parents[1] / "bias")
        moved = tmp_path / "tiny-80" / "bias"
        moved.parent.mkdir()
        (tmp_path / "bias").rename(moved)
        darec.search("bias", pair, train=80, resume=True, **{**options, "split": "random"})


@pytest.mark.ray
def test_a_result_at_a_uri_is_evaluated_and_its_scores_go_back_there(
    cluster, tiny_pair, tmp_path, monkeypatch
):
    study = finished(tmp_path / "bucket", tiny_pair, "mean")
    uri = study.as_uri()
    result = darec.load_result(uri)
    assert result.finished and result.path == uri and tmp_path not in result.root.parents
    scores = darec.evaluate(result, tiny_pair, seeds=2)
    kept = (tmp_path / "bucket" / "scores.jsonl").read_text()
    assert len(kept.splitlines()) == 6
    monkeypatch.setattr(runs, "pool", None)  # nothing is left to measure
    again = darec.evaluate(darec.load_result(uri), tiny_pair, seeds=2)
    assert again.equals(scores) and (tmp_path / "bucket" / "scores.jsonl").read_text() == kept


@pytest.mark.ray
def test_a_search_leaves_the_process_as_it_was(cluster, tiny_pair, tmp_path, monkeypatch):
    """Its handlers of signals, torch's threads, Optuna's messages, and no actor in the cluster."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    caches = []

    class Noted(ClusterCache):
        def __init__(self):
            super().__init__()
            caches.append(self)

    def state():
        handlers = [signal.getsignal(number) for number in numbers]
        return handlers, torch.get_num_threads(), optuna.logging.get_verbosity()

    monkeypatch.setattr(search, "ClusterCache", Noted)
    before = state()
    with torch_threads(2):
        darec.search("mean", tiny_pair, out=tmp_path)
        assert torch.get_num_threads() == 2
    assert state() == before and ray.is_initialized()
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(caches[0].store.computed.remote())


@pytest.mark.ray
def test_a_search_in_a_thread_that_cannot_go_on_ends(cluster, tiny_pair, tmp_path, monkeypatch):
    """No signal reaches Tune there."""
    monkeypatch.setattr("darec.tuning.study.halt.IDLE_S", 2.0)
    monkeypatch.setattr("darec.tuning.study.halt.has_room", lambda needs: False)
    for place in ("run", "tuner"):
        monkeypatch.setattr(f"darec.tuning.study.{place}.MAX_FAILURES", 0)
    told = []

    def run():
        try:
            darec.search("bias", tiny_pair, out=tmp_path, trials=2, cpus_per_trial=2)
        except darec.UserError as error:
            told.append(str(error))

    holder = ray.remote(num_cpus=2)(lambda: time.sleep(30)).remote()  # takes all of the room
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=100)
    ray.cancel(holder, force=True)
    assert not thread.is_alive()
    assert told and "no trial could run for 2 s" in told[0]


def test_a_kind_that_is_registered_can_be_loaded_back(tmp_path):
    darec.register("mine", darec.ModelKind(BiasConfig, build_bias), darec.Space({}))
    best = winner_of("mine", config={"reg_user": 10.0, "reg_item": 10.0})
    best.save(tmp_path)
    assert read_best(tmp_path) == best
    plugins.OUTSIDE.clear()
    with pytest.raises(darec.UserError, match="there is no model 'mine'"):
        read_best(tmp_path)


@pytest.mark.ray
def test_a_finished_search_goes_on_with_more_trials(cluster, tiny_pair, tmp_path):
    options = {"max_epochs": 3, "sampler": "random", "at_once": 1, "out": tmp_path}
    few = darec.search("i_autorec", tiny_pair, trials=3, **options)
    first, kept = few.trials.set_index("trial_id"), few.best
    more = few.extend(2)
    assert more.finished and len(more.trials) == more.best.trials == 5
    again = more.trials.set_index("trial_id").loc[first.index]
    pd.testing.assert_frame_equal(again, first)  # nothing was trained again
    assert more.best.valid_rmse == more.trials["best_valid_rmse"].min() <= kept.valid_rmse
    whole = darec.search("i_autorec", tiny_pair, trials=5, **{**options, "out": tmp_path / "w"})
    drawn = [name for name in first if name in darec.search_space("i_autorec").space]
    in_order = [each.trials.sort_values("trial_id")[drawn] for each in (more, whole)]
    assert in_order[0].reset_index(drop=True).equals(in_order[1].reset_index(drop=True))
    journal = open_journal(more.folder)
    errors = {each.user_attrs["trial"]: each.value for each in journal.trials}
    assert errors == dict(zip(more.trials["trial_id"], more.trials["best_valid_rmse"], strict=True))
    assert journal.best_trial.user_attrs["trial"] == more.best.trial_id
    assert all(each.intermediate_values for each in journal.trials)
    assert (more.folder / "study.html").stat().st_size > 10_000
    predictions = load_file(more.folder / "valid_predictions.safetensors")
    assert sorted(predictions) == sorted(more.trials["trial_id"])
    assert darec.load(more.path + "/model").card.config == more.best.config
    same = darec.search("i_autorec", tiny_pair, trials=5, resume=True, **options)
    assert same.best == more.best
    with pytest.raises(darec.UserError, match="--resume needs the same --trials: the search there"):
        darec.search("i_autorec", tiny_pair, trials=4, resume=True, **options)
    with pytest.raises(darec.UserError, match=r"call darec.search\(..., resume=True, trials=...\)"):
        darec.load_result(more.path).extend(1)


@pytest.mark.ray
def test_a_search_that_is_interrupted_on_its_way_to_more_trials_keeps_its_winner(
    cluster, tiny_pair, tmp_path, monkeypatch
):
    monkeypatch.setattr("darec.tuning.study.progress.EVERY_S", 0.0)
    options = {"max_epochs": 3, "out": tmp_path}
    few = darec.search("bias", tiny_pair, trials=3, **options)
    options |= {"resume": True}
    again = darec.search("bias", tiny_pair, **options)
    assert again.best == few.best and again.best.trials == 3  # as many as before
    more = darec.search("bias", tiny_pair, trials=12, reporter=Interrupting(), **options)
    assert not more.finished
    there = darec.load_result(more.path)
    assert there.finished and there.best == few.best and len(there.trials) == 3
    whole = more.resume()
    assert whole.finished and len(whole.trials) == whole.best.trials == 12
    shutil.rmtree(whole.folder / "tune")
    with pytest.raises(darec.UserError, match="the files of Ray Tune are gone, so that the search"):
        whole.extend(1)
    assert darec.load_result(more.path).best == whole.best
