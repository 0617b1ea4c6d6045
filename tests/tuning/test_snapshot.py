"""A snapshot that was cut short gives way to the copy beside it."""

import pickle
import shutil
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from darec.tuning import snapshot
from darec.tuning.snapshot import KeepSnapshots, mend

NAMES = {
    "search_gen_state-1.json": pickle.dumps("Tune names it so"),
    "experiment_state-1.json": b'{"trial_data": [1, 2]}',
    "searcher-state-1.pkl": pickle.dumps({"trials": list(range(100))}),
}


def written(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in NAMES.items():
        (folder / name).write_bytes(content)
    return folder


def stepped(tmp_path, files=None):
    """Let the callback see a trial whose driver staged a snapshot."""
    storage = SimpleNamespace(
        experiment_driver_staging_path=str(tmp_path / "staged"),
        experiment_fs_path=str(tmp_path / "tune"),
        storage_filesystem=files or LocalFileSystem(),
    )
    keeper = KeepSnapshots()
    keeper.on_step_begin(0, [SimpleNamespace(storage=storage)])
    return keeper, storage


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("left", [0, 7, -1])
def test_a_file_cut_short_anywhere_brings_the_copy_back(name, left, tmp_path):
    tune = written(tmp_path / "tune")
    written(tmp_path / "staged")
    stepped(tmp_path)
    assert not mend(str(tune))  # all are whole
    (tune / name).write_bytes(NAMES[name][:left])
    (tune / "experiment_state-2.json").write_text("{}")  # later, and of the same damaged snapshot
    assert mend(str(tune))
    assert {path.name: path.read_bytes() for path in tune.iterdir()} == NAMES
    assert not mend(str(tune))


def test_copies_are_not_made_too_often_and_follow_the_latest(tmp_path, monkeypatch):
    staged = written(tmp_path / "staged")
    keeper, storage = stepped(tmp_path)
    kept = tmp_path / snapshot.KEPT / "experiment_state-1.json"
    (staged / kept.name).write_text("[]")
    keeper.on_step_begin(1, [SimpleNamespace(storage=storage)])
    assert kept.read_bytes() == NAMES[kept.name]
    keeper.setup()  # of a run that continues the search
    keeper.on_step_begin(0, [SimpleNamespace(storage=storage)])
    assert kept.read_text() == "[]"


def test_without_room_the_last_copy_stays(tmp_path, monkeypatch):
    staged = written(tmp_path / "staged")
    keeper, storage = stepped(tmp_path)
    (staged / "experiment_state-1.json").write_text("[]")

    def full(source, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    keeper.setup()
    keeper.on_step_begin(0, [SimpleNamespace(storage=storage)])
    kept = {path.name: path.read_bytes() for path in (tmp_path / snapshot.KEPT).iterdir()}
    assert kept == NAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == [snapshot.KEPT, "staged"]


def test_an_object_store_needs_no_copy(tmp_path):
    written(tmp_path / "staged")
    stepped(tmp_path, SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
    assert not (tmp_path / snapshot.KEPT).exists()
