"""A path that is no file is told for what it is."""

import os
import socket
from pathlib import Path

import pytest

from darec.data.given import check_file
from darec.errors import UserError


def told(path):
    with pytest.raises(UserError) as caught:
        check_file(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_file_and_a_link_to_it_are_files(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n")
    (tmp_path / "link.csv").symlink_to("ratings.csv")
    check_file(tmp_path / "ratings.csv")
    check_file(tmp_path / "link.csv")


def test_what_is_no_file_is_named_with_what_helps(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))
    server.close()
    (tmp_path / "dangling").symlink_to("gone.csv")
    (tmp_path / "loop").symlink_to("loop")
    assert told(tmp_path) == "is a folder; name a file in it"
    assert told(tmp_path / "pipe").startswith("is a pipe; ")
    assert told(tmp_path / "socket").startswith("is a socket; ")
    assert told(Path("/dev/null")).startswith("is a device; ")
    assert told(tmp_path / "dangling") == "is a link to gone.csv, which is not there"
    assert told(tmp_path / "gone.csv") == "no such file"
    assert told(tmp_path / "loop").startswith("cannot be read: ")
    assert told(tmp_path / ("x" * 300)).startswith("cannot be read: ")
    assert told(Path("a\0b")).startswith("cannot be read: ")
    for name in ("pipe", "socket"):
        assert "save it as one first (... > ratings.csv)" in told(tmp_path / name)


def test_the_pipe_of_a_process_substitution_is_a_pipe():
    reader, writer = os.pipe()
    try:
        assert told(Path(f"/dev/fd/{reader}")).startswith("is a pipe; ")
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_reported(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\n")
    path.chmod(0)
    assert told(path) == "cannot be read: Permission denied"
