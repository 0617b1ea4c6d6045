"""Each trial is a run of the tracker, with a point for every epoch."""

from dataclasses import replace

import pytest
from ray import cloudpickle

from darec.api.search_checks import check_arguments
from darec.errors import UserError
from darec.tuning.study.run import run_study
from darec.tuning.trial.trackers import EpochWandb, tracker_of
from darec.tuning.trial.tracking import Tracking
from tests.tuning.trial.test_loggers import logged


def test_mlflow_has_a_run_for_each_trial_and_a_point_for_each_epoch(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="needs MLflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    tracker = tracker_of("mlflow", "toys_auto-90/i_darec")
    tracker = cloudpickle.loads(cloudpickle.dumps(tracker))  # as a resumed search does
    tracker.setup()
    logged(tracker, tmp_path)
    (run,) = mlflow.search_runs(experiment_names=["toys_auto-90/i_darec"], output_format="list")
    assert run.info.status == "FINISHED" and run.data.params == {"x": "1.0"}
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "valid/rmse")
    assert [(point.step, point.value) for point in points] == [(4, 0.9), (5, 0.8)]


def test_a_tracker_that_fails_ends_no_search(tmp_path, monkeypatch, caplog):
    made = []

    class Failing:
        def setup(self, **info):
            made.append(info)

        def on_trial_start(self, iteration, trials, trial):
            raise OSError("no server")

    monkeypatch.setattr("darec.tuning.trial.trackers.tracker_of", lambda *asked: Failing())
    tracking = cloudpickle.loads(cloudpickle.dumps(Tracking("p/m", "mlflow")))
    for _ in range(2):  # a resumed search asks it again
        tracking.setup(stop=None)
        tracking.on_trial_start(0, [], None)
        tracking.on_trial_start(1, [], None)
    assert made == [{"stop": None}] * 2
    assert caplog.text.count("--tracker mlflow: no server; the search goes on") == 2
    silent = Tracking("p/m")
    silent.setup(stop=None)
    silent.on_trial_start(0, [], None)
    assert len(made) == 2


@pytest.mark.ray
def test_a_study_is_logged_to_mlflow(study, settings, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="needs MLflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    folder = tmp_path / "pair-90" / "i_autorec"
    study = replace(study, folder=folder, storage=str(folder), trials=2)
    rows = run_study(study, replace(settings, tracker="mlflow"), resume=False)
    runs = mlflow.search_runs(experiment_names=["pair-90/i_autorec"], output_format="list")
    best = min(run.data.metrics["best/valid_rmse"] for run in runs)
    assert len(runs) == 2 and best == pytest.approx(rows[0].best_valid_rmse)


@pytest.mark.ray
def test_weights_and_biases_has_a_run_of_its_own_for_each_trial(tmp_path, cluster, monkeypatch):
    pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = EpochWandb(project="darec", group="toys_auto-90/i_darec", mode="offline")
    tracker.setup()
    runs = []
    for name in ("of one search", "of another"):  # both have a trial of the same id
        (tmp_path / name).mkdir()
        logged(tracker, tmp_path / name)
        tracker.on_experiment_end([])
        (run,) = (tmp_path / name).glob("wandb/offline-run-*/run-*.wandb")
        runs.append(run.stem)
    assert len(set(runs)) == 2


def test_a_tracker_whose_library_is_missing_is_reported_before_the_search(monkeypatch):
    monkeypatch.setattr("darec.api.search_checks.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'--tracker wandb needs .*: pip install -e "\.\[wandb\]"'):
        check_arguments({"tracker": "wandb"})
    with pytest.raises(UserError, match="--tracker must be"):
        check_arguments({"tracker": "paper"})
    check_arguments({"tracker": None})
