import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ray import tune
from ray.train._internal.session import _TrainingResult
from ray.tune.result import SHOULD_CHECKPOINT

from darec.core import hierarchical
from darec.core.recommender import DivergedError, MemoryCache
from darec.data.split import split
from darec.models import MODELS
from darec.provenance import Build, this_build, versions
from darec.tuning.trial.checkpoint import save_state
from darec.tuning.trial.names import METRIC, ROWS
from darec.tuning.trial.trainable import (
    OtherCodeError,
    RecommenderTrainable,
    TrialTask,
)

CONFIG = {"axis": "item", "hidden": 10, "alpha": 0.01, "center": "mean", "batch_size": 16}
DAREC = {
    "autorec/axis": "user",
    "autorec/hidden": 10,
    "autorec/epochs": 2,
    "extractor": 8,
    "heads": "both",
}


class Local(RecommenderTrainable):
    """The trainable without Tune around it."""

    _storage = None

    def __init__(self, config, task):
        self._shared = task
        self.config, self._time_total, self._last_result = config, 0.0, {}
        self._local_ip = "here"
        self.setup(config)

    @property
    def trial_resources(self):
        return SimpleNamespace(required_resources={"CPU": 1.0})

    def setup(self, config):
        super().setup(config, self._shared)


def local(config, data, model="i_autorec", **changes):
    """Return a trial of a model; ``changes`` are fields of its task."""
    task = TrialTask(
        kind=MODELS[model],
        data=data,
        seed=0,
        cache=MemoryCache(),
        report_at=range(1, 1000),
        limit=math.inf,
        n_trials=0,
        driver=this_build(),
    )
    return Local(config, replace(task, **changes))


@pytest.fixture(scope="module")
def data(tiny_pair):
    return split(tiny_pair).search


def test_the_biases_of_the_search_are_not_fitted_again(data, monkeypatch):
    fitted = hierarchical.hierarchical_biases(data.training)
    biases = hierarchical.known_biases(data.training)
    assert biases is not None and biases.weights().keys() == fitted.weights().keys()
    monkeypatch.setattr(hierarchical, "_known", {})  # as in another process
    monkeypatch.setattr(hierarchical.HierarchicalBiases, "fit", lambda training: 1 / 0)
    centred = {**CONFIG, "center": "hierarchical"}
    assert local(centred, data, biases=biases).step()["epoch"] == 1
    monkeypatch.setattr(hierarchical, "_known", {})
    with pytest.raises(ZeroDivisionError):
        local(centred, data).step()


def test_a_reused_actor_equals_a_fresh_one(data):
    other = {**CONFIG, "hidden": 7, "center": "bias"}
    reused = local(other, data)
    reused.step()
    assert reused.reset_config(CONFIG)
    fresh = local(CONFIG, data)
    assert [reused.step() for _ in range(3)] == [fresh.step() for _ in range(3)]


def test_a_checkpoint_continues_and_carries_the_best_epochs_weights(data, tmp_path):
    straight, half = local(CONFIG, data), local(CONFIG, data)
    rows = [straight.step() for _ in range(4)]
    assert [half.step() for _ in range(2)] == rows[:2]
    half.save_checkpoint(str(tmp_path))
    resumed = local(CONFIG, data)
    resumed.load_checkpoint(str(tmp_path))
    assert [resumed.step() for _ in range(2)] == rows[2:]


def restored(trial, folder):
    trial.restore(_TrainingResult(tune.Checkpoint.from_directory(folder), {"time_total_s": 9.0}))
    return trial.step()


def test_a_damaged_or_deleted_checkpoint_gives_way_to_the_one_before_and_says_so(data, tmp_path):
    straight, half = local(CONFIG, data), local(CONFIG, data)
    rows = [straight.step() for _ in range(3)]
    older, newer = tmp_path / "checkpoint_000000", tmp_path / "checkpoint_000001"
    for folder in (older, newer):
        half.step()
        folder.mkdir()
        half.save_checkpoint(str(folder))
    plain = restored(local(CONFIG, data), newer)
    assert plain["valid_rmse"] == rows[2]["valid_rmse"] and not plain["note"]
    (newer / "state.pt").write_bytes(b"")
    row = restored(local(CONFIG, data), newer)
    assert row["epoch"] == 2 and row["valid_rmse"] == rows[1]["valid_rmse"]
    assert row["note"].startswith("went on from checkpoint_000000: ") and "damaged" in row["note"]
    shutil.rmtree(newer)
    row = restored(local(CONFIG, data), newer)
    assert row["epoch"] == 2 and "does not exist" in row["note"]
    shutil.rmtree(older)
    trial = local(CONFIG, data)
    row = restored(trial, newer)
    assert row["epoch"] == 1 and row["valid_rmse"] == rows[0]["valid_rmse"]
    assert row["note"].startswith("started again: ") and not trial._time_total
    newer.mkdir()
    trial.save_checkpoint(str(newer))  # the note is kept after another loss
    assert restored(local(CONFIG, data), newer)["note"] == row["note"]


def test_a_trial_starts_again_whole_where_another_version_saved_its_optimizer(data, tmp_path):
    config = {"factors": 3, "batch_size": 64, "center": "mean"}
    trial, folder = local(config, data, "emcdr"), tmp_path / "checkpoint_000000"
    rows = [trial.step() for _ in range(2)]
    folder.mkdir()
    saved = trial._fit.state_dict()
    saved["model"]["optimizer"] = {"state": {}, "param_groups": []}
    save_state({"fit": saved, "note": "", "trained_s": 1.0}, folder)
    row = restored(local(config, data, "emcdr"), folder)
    assert row["epoch"] == 1 and row["valid_rmse"] == rows[0]["valid_rmse"]
    assert row["note"].startswith("started again: ") and "another version" in row["note"]


def test_a_trial_over_its_limit_ends_with_its_best_epoch(data):
    trial = local(CONFIG, data, report_at=(1,), limit=10.0)
    trial._time_total = 99.0  # it waited for stage 1
    assert not trial.step()["done"]
    trial._trained_s = 9.99
    row = trial.step()
    assert row["done"] and row["reason"] == "over its limit of 10 s"
    assert row["best_epoch"] >= 1 and row[METRIC] < 4.0


def test_a_silent_process_is_ended():
    code = """
import time
from darec.tuning.trial.trainable import ended_if_silent
with ended_if_silent(30):
    pass
print("lived", flush=True)
with ended_if_silent(0.2):
    time.sleep(60)
"""
    begin = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stdout == "lived\n" and time.monotonic() - begin < 50


def test_checkpoints_are_asked_for_by_time_and_by_what_they_cost(data, tmp_path, monkeypatch):
    trial = local(CONFIG, data)
    assert not trial.step()[SHOULD_CHECKPOINT]
    monkeypatch.setattr("darec.tuning.trial.trainable.CHECKPOINT_S", 0.0)
    assert trial.step()[SHOULD_CHECKPOINT]
    trial._saving_s = 60.0
    assert not trial.step()[SHOULD_CHECKPOINT]
    trial.save(str(tmp_path))
    assert trial._saving_s < 60.0
    large = local(CONFIG, data, n_trials=10_000_000)
    assert not large.step()[SHOULD_CHECKPOINT]


def test_a_report_holds_every_epoch_up_to_the_next_decision(data):
    straight, few = local(CONFIG, data), local(CONFIG, data, report_at=(3, 5))
    rows = [straight.step() for _ in range(5)]
    reports = [few.step() for _ in range(2)]
    assert [row["epoch"] for report in reports for row in report[ROWS]] == [1, 2, 3, 4, 5]
    assert [row for report in reports for row in report[ROWS]] == [row[ROWS][0] for row in rows]
    assert reports[1][METRIC] == min(row["valid_rmse"] for row in rows)


def test_a_long_epoch_is_a_report(data, monkeypatch):
    monkeypatch.setattr("darec.tuning.trial.trainable.REPORT_S", 0.0)
    assert len(local(CONFIG, data, report_at=()).step()[ROWS]) == 1


def test_a_diverged_trial_ends_in_one_step_with_its_reason(data):
    trial = local({**CONFIG, "learning_rate": 10.0, "alpha": 1e6}, data)
    trial._built().model.weights()["decoder_bias_M"].fill_(math.nan)
    row = trial.step()
    assert row["done"] and "nan" in row["reason"]
    assert row["valid_rmse"] == row[METRIC] == 4.0 and row["best_epoch"] == 0


def test_a_trial_whose_decay_makes_its_weights_vanish_has_diverged(data):
    trial = local({**CONFIG, "learning_rate": 1.0, "alpha": 0.1, "decay": "decoupled"}, data)
    row = trial.step()
    assert row["done"] and row["reason"].startswith("diverged: with decoupled decay, the weight of")
    assert row[METRIC] == 4.0


@pytest.mark.parametrize(("metric", "objective"), [("mae", 4.0), ("ndcg@10", 1.0)])
def test_a_diverged_trial_has_the_worst_value_of_its_metric(data, metric, objective):
    trial = local(CONFIG, data, metric=metric)
    trial._built().model.weights()["decoder_bias_M"].fill_(math.nan)
    row = trial.step()
    assert row["best_valid_rmse"] == 4.0 and row[METRIC] == objective


def test_a_trial_that_diverges_later_keeps_its_best_epoch(data):
    trial = local(CONFIG, data, metric="mae", report_at={1})
    best = trial.step()
    trial._built().model.weights()["decoder_bias_M"].fill_(math.nan)
    row = trial.step()
    for name in (METRIC, "best_valid_rmse", "best_epoch"):
        assert row[name] == best[name]
    assert best[METRIC] < best["best_valid_rmse"]


def test_a_trial_that_no_longer_improves_ends(data, monkeypatch):
    monkeypatch.setattr("darec.core.fit.PATIENCE", 3)
    trial = local({**CONFIG, "learning_rate": 1e-12}, data)
    rows = [trial.step() for _ in range(4)]
    assert [row["done"] for row in rows] == [False, False, False, True]
    assert rows[-1]["reason"] == "stalled" and math.isfinite(rows[-1][METRIC])


def test_a_diverged_stage_1_ends_in_one_step_with_its_reason(data, tmp_path, monkeypatch):
    def diverge(*args):
        raise DivergedError("stage 1: loss is nan in epoch 1")

    monkeypatch.setattr("darec.models.darec.model.pretrain", diverge)
    trial = local(DAREC, data, "u_darec")
    trial.save_checkpoint(str(tmp_path))
    trial.load_checkpoint(str(tmp_path))
    row = trial.step()
    assert (
        row["done"] and row["reason"].startswith("diverged: stage 1") and math.isfinite(row[METRIC])
    )


def test_stage_1s_own_score_stands_beside_darecs(data):
    row = local(DAREC, data, "u_darec").step()
    assert 0.5 < row["stage1_valid_rmse"] < 2.0
    parts = {"loss_rating_source", "loss_rating_target", "loss_domain", "loss_regulariser"}
    assert parts | {"domain_accuracy", "valid_rmse", "grad_norm_domain"} <= row.keys()
    assert all(
        np.isfinite(value) for name, value in row.items() if name not in ("reason", "note", ROWS)
    )


def test_a_node_that_joins_with_other_code_is_refused_by_its_first_trial(data):
    other = Build("the driver's", versions())
    with pytest.raises(OtherCodeError, match=r"^node .* runs other darec code than the driver$"):
        local(CONFIG, data, driver=other)
