from dataclasses import replace

import pytest
from pyarrow.fs import LocalFileSystem
from ray import tune

from darec.core.cold import ColdRule
from darec.tuning.durability import retention
from darec.tuning.durability.retention import delete_checkpoints
from darec.tuning.study.run import run_study
from darec.tuning.trial.predictions import gather_predictions, read_predictions


def test_checkpoints_are_kept_of_the_best_and_of_those_that_ended_last(
    study, settings, monkeypatch
):
    monkeypatch.setattr(retention, "SNAPSHOT_AGE_S", 0.0)
    monkeypatch.setattr(retention, "SNAPSHOT_PERIODS", 0)
    rows = run_study(replace(study, trials=9), settings, resume=False)
    kept = {path.parent.name for path in study.folder.glob("tune/*/checkpoint_*")}
    best = {row.trial_id for row in rows[: retention.KEPT]}
    assert best <= kept and len(kept) <= retention.KEPT + settings.slots.concurrent
    assert all(row.cpu_s >= row.seconds > 0 and row.gpu_s == 0 for row in rows)
    gather_predictions([(row.trial_id, row.checkpoint) for row in rows], study.folder)
    valid, rule = study.data.valid, ColdRule(study.data.training)
    found = read_predictions(study.folder, len(valid), "study")
    assert found.keys() == {row.trial_id for row in rows}  # also of those whose checkpoints went
    for row in rows:
        assert rule.rmse(found[row.trial_id], valid) == pytest.approx(row.best_valid_rmse)


@pytest.mark.parametrize("there", [True, False])
def test_all_checkpoints_of_one_trial_are_deleted_and_nothing_else(tmp_path, there):
    mine, other = tmp_path / "a", tmp_path / "b"
    for trial in (mine, other):
        for name in ("checkpoint_000000", "checkpoint_000001"):
            (trial / name).mkdir(parents=True)
        (trial / "result.json").write_text("{}")
    newest = tune.Checkpoint(str(mine / "checkpoint_000001"), LocalFileSystem())
    if not there:
        newest = None  # a trial without a checkpoint
    for _ in range(2):  # again: they are gone
        delete_checkpoints(newest)
    left = {path.name for path in mine.iterdir()}
    assert left == ({"result.json"} if there else {path.name for path in other.iterdir()})
    assert len(list(other.iterdir())) == 3
