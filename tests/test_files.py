import fcntl
import os
import stat
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from darec import files
from darec.errors import UserError
from darec.files import append, open_to_append, write, write_json


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "best.json"
    write_json(path, {"rmse": 1.0})
    before = path.read_text()

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write(path, fail)
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"rmse": float("nan")})
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_new_files_have_the_permissions_that_the_umask_allows(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "a.json", {})
        write(tmp_path / "b.safetensors", lambda path: save_file({"w": torch.zeros(2)}, path))
        write(tmp_path / "c.npy", lambda path: np.save(path, np.zeros(2)))
        append(tmp_path / "d.jsonl", "{}\n")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_name_after(tmp_path, monkeypatch):
    path, synced = tmp_path / "best.json", []

    def fsync(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        synced.append((kind, path.exists()))

    monkeypatch.setattr(files.os, "fsync", fsync)
    write_json(path, {})
    assert synced == [("file", False), ("folder", True)]
    synced.clear()
    path.unlink()
    append(path, "{}\n")
    append(path, "{}\n")
    assert synced == [("file", True), ("folder", True), ("file", True)]


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    left = [tmp_path / f".a[1].csv.{name}.csv" for name in ("0" * 16, "f" * 16)]
    mine = tmp_path / ".a[1].csv.mine.csv"
    for path in (*left, mine):
        path.write_text("x")
    for path in (left[0], mine):
        os.utime(path, (0, 0))
    write(tmp_path / "a[1].csv", lambda path: path.write_text("new"))
    assert sorted(tmp_path.iterdir()) == sorted([left[1], mine, tmp_path / "a[1].csv"])


def test_half_a_line_is_cut_off_before_lines_are_added(tmp_path):
    path = tmp_path / "deep" / "scores.jsonl"
    append(path, '{"a": 1}\n{"a"')
    append(path, '{"a": 2}\n')
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n'


def test_half_a_line_that_is_still_being_written_is_not_cut_off(tmp_path):
    path, added = tmp_path / "scores.jsonl", threading.Event()
    other = threading.Thread(target=lambda: (append(path, "other\n"), added.set()))
    with open_to_append(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"ha")
        file.flush()
        other.start()
        assert not added.wait(0.2)
        file.write(b"lf\n")
    other.join()
    assert path.read_text() == "half\nother\n"


def test_no_link_is_followed_when_a_file_is_written(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    path = tmp_path / "out" / "best.json"
    path.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(UserError, match=r"best.json: must be a plain file, but is a symbolic link"):
        append(path, "{}\n")
    write_json(path, {})
    assert target.read_text() == "precious" and not path.is_symlink()


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_only_a_plain_file_is_added_to(tmp_path, kind):
    path = tmp_path / "scores.jsonl"
    make = {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[kind]()
    with pytest.raises(UserError, match=r"scores.jsonl: must be a plain file") as caught:
        open_to_append(path)
    assert "\n" not in str(caught.value) and not (tmp_path / "nowhere").exists()
