"""A search is resumed from one complete copy of Tune's snapshot."""

import os
import pickle
from types import SimpleNamespace

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem
from ray.tune.experiment.trial import Trial

from darec.errors import UserError
from darec.tuning import storage
from darec.tuning.durability import snapshot
from darec.tuning.durability.snapshot import COPY, CopySnapshots, delete_copy, restore_copy
from darec.tuning.private import CALLBACK_STATES, SNAPSHOT_FILES, TUNER_FILE


def staged(tmp_path, text, when="2026-01-01_00-00-00"):
    """Write a snapshot as the driver does, on its own disk."""
    for name in SNAPSHOT_FILES:
        (tmp_path / "staged").mkdir(exist_ok=True)
        (tmp_path / "staged" / name.format(when)).write_text(text)


def states(folder):
    """Return the contents of the latest snapshot in a folder."""
    return [max(folder.glob(name.format("*"))).read_text() for name in SNAPSHOT_FILES]


@pytest.fixture
def search(tmp_path):
    """A search whose driver has staged a snapshot, and the callback that has copied it."""
    (tmp_path / "tune").mkdir()
    (tmp_path / "tune" / TUNER_FILE).write_text("driver")
    staged(tmp_path, "one")
    copier = CopySnapshots()
    step(copier, tmp_path)
    return copier


def step(copier, tmp_path, files=None):
    storage = SimpleNamespace(
        experiment_driver_staging_path=str(tmp_path / "staged"),
        experiment_fs_path="tune" if files else str(tmp_path / "tune"),
        storage_filesystem=files or LocalFileSystem(),
    )
    trial = SimpleNamespace(storage=storage, status="RUNNING", trial_id="0001", checkpoint=object())
    copier.on_step_begin(0, [trial])


def test_the_copy_takes_the_place_of_files_cut_short_or_of_another_moment(search, tmp_path):
    tune = tmp_path / "tune"
    (tune / SNAPSHOT_FILES[0].format("2026-01-01_00-00-00")).write_text("o")
    (tune / SNAPSHOT_FILES[1].format("2999-01-01_00-00-00")).write_text("a clock that went wrong")
    (tune / TUNER_FILE).write_text("")
    for _ in range(2):  # an interrupted restoration is repeated
        restore_copy(str(tune))
        assert states(tune) == ["one"] * 4 and (tune / TUNER_FILE).read_text() == "driver"
        assert len(list(tune.iterdir())) == 5
    delete_copy(str(tune))
    delete_copy(str(tune))
    restore_copy(str(tune))  # without a copy it does nothing
    assert states(tune) == ["one"] * 4 and not (tmp_path / COPY).exists()


def test_each_new_snapshot_is_copied_but_not_too_often(search, tmp_path, monkeypatch):
    staged(tmp_path, "two")
    step(search, tmp_path)  # too soon after the first
    restore_copy(str(tmp_path / "tune"))
    assert states(tmp_path / "tune") == ["one"] * 4
    monkeypatch.setattr(snapshot, "EVERY_S", 0.0)
    monkeypatch.setattr(snapshot, "SHARE", 1e9)
    search.copy()  # the last copy is made at any time
    staged(tmp_path, "three", when="2026-01-01_00-00-09")  # a run that continues it
    search.setup()
    step(search, tmp_path)
    restore_copy(str(tmp_path / "tune"))
    assert states(tmp_path / "tune") == ["three"] * 4


def test_it_knows_which_trials_go_on_from_the_copy(search, tmp_path):
    trial = search._trials[0]
    assert search.needed_by_copy == frozenset()  # the first snapshot has no state
    for number, status in ((2, "RUNNING"), (3, Trial.TERMINATED)):
        trial.status = status
        search.get_state()  # as Tune does with a snapshot
        before = search.needed_by_copy
        trial.status = "ended after the snapshot"
        assert search.needed_by_copy == before
        staged(tmp_path, f"{number}")
        search.copy()
        assert search.needed_by_copy == ({"0001"} if status == "RUNNING" else set())
    search.setup()
    assert search.needed_by_copy is None


def test_half_a_snapshot_is_not_copied(search, tmp_path):
    os.remove(tmp_path / COPY)
    os.remove(tmp_path / "staged" / SNAPSHOT_FILES[2].format("2026-01-01_00-00-00"))
    search.setup()
    step(search, tmp_path)
    assert not (tmp_path / COPY).exists()


def test_without_room_the_last_copy_stays(search, tmp_path, monkeypatch):
    staged(tmp_path, "two")

    def full(path, save):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", full)
        search.setup()
        step(search, tmp_path)
    restore_copy(str(tmp_path / "tune"))
    assert states(tmp_path / "tune") == ["one"] * 4
    search.copy()  # there is room again, and no newer snapshot
    restore_copy(str(tmp_path / "tune"))
    assert states(tmp_path / "tune") == ["two"] * 4


def test_under_a_uri_it_is_one_object(search, tmp_path):
    os.remove(tmp_path / COPY)
    search.setup()
    step(search, tmp_path, SubTreeFileSystem(str(tmp_path), LocalFileSystem()))
    assert (tmp_path / COPY).exists()
    restore_copy(str(tmp_path / "tune"))
    assert states(tmp_path / "tune") == ["one"] * 4


@pytest.fixture
def whole(search, tmp_path):
    """Tune's own snapshot beside the copy: both of one search, and both whole."""
    folder, when = tmp_path / "tune", "2026-01-01_00-00-05"
    for name in SNAPSHOT_FILES:
        (tmp_path / "staged" / name.format("2026-01-01_00-00-00")).unlink()
    staged(tmp_path, "own", when)
    states = {0: None, 1: search.get_state(), 2: {"seconds": {}}}
    states_file = tmp_path / "staged" / CALLBACK_STATES.format(when)
    states_file.write_bytes(pickle.dumps(states))
    for path in (tmp_path / "staged").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


DAMAGES = {
    "empty": lambda content: b"",
    "random": lambda content: bytes(range(256)) * 40,
    "cut short": lambda content: content[: len(content) // 2],
    "one bit": lambda content: content.replace(b"driver", b"drives"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_reported_and_the_search_goes_on_from_tunes_own_files(
    damage, whole, tmp_path, caplog
):
    content = (tmp_path / COPY).read_bytes()
    (tmp_path / COPY).write_bytes(DAMAGES[damage](content))
    restore_copy(str(whole))
    (told,) = caplog.messages
    assert told.startswith(f"{tmp_path / COPY}: damaged (") and "Tune's own" in told
    kept = [max(whole.glob(name.format("*"))).read_text() for name in SNAPSHOT_FILES[:3]]
    assert kept == ["own"] * 3


@pytest.mark.parametrize("name", SNAPSHOT_FILES)
@pytest.mark.parametrize("other", ["older", None])
def test_if_tunes_own_files_are_damaged_too_one_line_says_so(name, other, whole, tmp_path):
    (tmp_path / COPY).write_bytes(b"")
    (damaged,) = whole.glob(name.format("*"))
    damaged.write_text(other) if other else damaged.unlink()
    with pytest.raises(UserError) as raised:
        restore_copy(str(whole))
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{tmp_path / COPY}: damaged (") and "delete the study's folder" in line


def test_a_whole_copy_is_taken_whatever_tunes_own_files_are(whole):
    for name in SNAPSHOT_FILES:
        (found,) = whole.glob(name.format("*"))
        found.write_bytes(b"")
    restore_copy(str(whole))
    assert states(whole) == ["one"] * 4


def test_a_snapshot_that_a_full_disk_left_empty_is_none(tmp_path, caplog):
    assert not snapshot.has_snapshot(str(tmp_path)) and not caplog.text
    (tmp_path / SNAPSHOT_FILES[0].format("2026-01-01_00-00-00")).touch()
    assert not snapshot.has_snapshot(str(tmp_path))
    assert "Tune's snapshot is empty (a full disk?); the study starts again" in caplog.text
    (tmp_path / SNAPSHOT_FILES[0].format("2026-01-01_00-00-01")).write_text("{}")
    assert snapshot.has_snapshot(str(tmp_path))
