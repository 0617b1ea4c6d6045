from dataclasses import replace
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune.experiment.trial import Trial

from darec.core.cold import ColdRule
from darec.tuning.durability import retention
from darec.tuning.durability.retention import KeepTheBest, delete_checkpoints, kept_of
from darec.tuning.durability.snapshot import CopySnapshots
from darec.tuning.study.run import run_study
from darec.tuning.trial.names import METRIC, trial_id_of
from darec.tuning.trial.predictions import gather_predictions, read_predictions


def test_a_finished_study_has_one_checkpoint_of_each_of_the_best(study, settings):
    rows = run_study(replace(study, trials=9), settings, resume=False)
    kept = [trial_id_of(path.parent.name) for path in study.folder.glob("tune/*/checkpoint_*")]
    assert sorted(kept) == sorted(row.trial_id for row in rows[: retention.KEPT])
    assert all(row.cpu_s >= row.seconds > 0 and row.gpu_s == 0 for row in rows)
    gather_predictions([(row.trial_id, row.checkpoint) for row in rows], study.folder)
    valid, rule = study.data.valid, ColdRule(study.data.training)
    found = read_predictions(study.folder, len(valid), "study")
    assert found.keys() == {row.trial_id for row in rows}  # also of those whose checkpoints went
    for row in rows:
        assert rule.rmse(found[row.trial_id], valid) == pytest.approx(row.best_valid_rmse)


@pytest.fixture
def trials(tmp_path):
    """Four trials with three checkpoints each; the first has the lowest objective."""
    made = []
    for number in range(4):
        folders = [tmp_path / f"{number}" / f"checkpoint_00000{k}" for k in range(3)]
        for folder in folders:
            folder.mkdir(parents=True)
        newest = tune.Checkpoint(str(folders[-1]), LocalFileSystem())
        made.append(
            SimpleNamespace(
                trial_id=f"{number}",
                status=Trial.TERMINATED,
                checkpoint=newest,
                last_result={METRIC: 1.0 + number},
                config={"output": "stars" if number == 2 else "levels"},
            )
        )
    return made


def left(tmp_path):
    """How many checkpoints each trial has."""
    return [len(list((tmp_path / f"{number}").glob("checkpoint_*"))) for number in range(4)]


def test_checkpoints_stay_while_a_resumed_search_would_need_them(trials, tmp_path):
    snapshots = CopySnapshots()
    keep = KeepTheBest(snapshots, kept=1)
    trials[3].status = Trial.RUNNING
    keep.on_trial_complete(1, trials, trials[3])
    assert left(tmp_path) == [3, 3, 3, 3]  # there is no copy yet
    snapshots.needed_by_copy = frozenset({"2", "3"})
    keep.on_trial_complete(2, trials, trials[3])
    assert left(tmp_path) == [1, 0, 3, 3]  # 2 has not ended in the copy
    trials[3].status = Trial.TERMINATED
    snapshots.needed_by_copy = frozenset()
    keep.on_experiment_end(trials)
    assert left(tmp_path) == [1, 0, 0, 0]


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
    rest = {path.name for path in mine.iterdir()}
    assert rest == ({"result.json"} if there else {path.name for path in other.iterdir()})
    assert len(list(other.iterdir())) == 3


def test_the_best_trial_of_each_variant_keeps_its_checkpoint(trials, tmp_path):
    assert kept_of(["a", "a", "a", "a", "b", "b", "c"]) == [0, 1, 2, 4, 6]
    assert kept_of([None] * 5) == [0, 1, 2] and kept_of([None]) == [0] and kept_of([]) == []
    snapshots = SimpleNamespace(needed_by_copy=set(), copy=lambda: None)
    KeepTheBest(snapshots, kept=1, variant="output").on_experiment_end(trials)
    assert left(tmp_path) == [1, 0, 1, 0]


def test_a_checkpoint_stays_until_its_predictions_are_kept(trials, tmp_path, monkeypatch):
    def fails(checkpoint):
        raise OSError("the disk is full")

    snapshots = SimpleNamespace(needed_by_copy=set(), copy=lambda: None)
    keep = KeepTheBest(snapshots, kept=1)
    with monkeypatch.context() as patched:
        patched.setattr(retention, "keep_predictions", fails)
        keep.on_experiment_end(trials)
    assert left(tmp_path) == [1, 3, 3, 3]
    keep.on_experiment_end(trials)
    assert left(tmp_path) == [1, 0, 0, 0]
