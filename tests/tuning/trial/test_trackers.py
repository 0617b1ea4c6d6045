"""Each trial is a run of the tracker, with a point for every epoch."""

import pytest
from ray import cloudpickle

from darec.api.search_checks import check_arguments
from darec.errors import UserError
from darec.tuning.trial.trackers import EpochWandb, tracker_of
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


def test_a_tracker_whose_library_is_missing_is_told_before_the_search(monkeypatch):
    monkeypatch.setattr("darec.api.search_checks.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'--tracker wandb needs .*: pip install "darec\[wandb\]"'):
        check_arguments({"tracker": "wandb"})
    with pytest.raises(UserError, match="--tracker must be"):
        check_arguments({"tracker": "paper"})
    check_arguments({"tracker": None})
