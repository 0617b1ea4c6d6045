from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from darec.errors import UserError
from darec.tuning import storage


@pytest.fixture(params=["folder", "URI", "other file system"])
def place(request, tmp_path):
    """A file system and a path in it, of a folder that does not exist yet."""
    if request.param == "folder":
        return storage.open_place(str(tmp_path / "out"))
    if request.param == "URI":
        return storage.open_place((tmp_path / "out").as_uri())
    return SubTreeFileSystem(str(tmp_path), LocalFileSystem()), "out"


def test_a_file_is_written_replaced_read_listed_and_deleted(place, tmp_path):
    files, folder = place
    path = storage.join(folder, "below", "state.json")
    assert not storage.listed(files, folder) and not storage.exists(files, path)
    storage.delete(files, path)  # a file that is not there
    for content in (b"first, and longer", b"second", b""):
        storage.replace(files, path, content)
        assert storage.exists(files, path) and storage.read(files, path) == content
        assert (tmp_path / "out" / "below" / "state.json").read_bytes() == content
    assert [found.base_name for found in storage.listed(files, folder)] == ["below"]
    found = storage.listed(files, folder, recursive=True)
    assert {info.base_name for info in found} == {"below", "state.json"}
    assert not storage.exists(files, folder)  # a folder is not a file
    storage.delete(files, path)
    assert not storage.exists(files, path)


def test_a_file_is_written_at_the_top_of_a_file_system(tmp_path):
    files = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    storage.replace(files, "snapshot.zip", b"content")
    assert (tmp_path / "snapshot.zip").read_bytes() == b"content"


def test_a_file_that_is_not_there_cannot_be_read(place):
    files, folder = place
    with pytest.raises(FileNotFoundError):
        storage.read(files, storage.join(folder, "state.json"))


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    files, path = storage.open_place(str(tmp_path / "state.json"))
    storage.replace(files, path, b"old")

    def full(self, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            storage.replace(files, path, b"new")
    assert storage.read(files, path) == b"old"
    assert [info.base_name for info in storage.listed(files, str(tmp_path))] == ["state.json"]


def test_paths_are_joined_with_one_slash():
    assert (
        storage.join("s3://bucket/out/", "pair-90", "i_darec") == "s3://bucket/out/pair-90/i_darec"
    )
    assert storage.join("/out", "tune") == "/out/tune"


def test_plain_files_go_to_a_uri_and_come_back(tmp_path):
    uri = (tmp_path / "bucket" / "study").as_uri()
    assert storage.is_uri(uri) and not storage.is_uri(str(tmp_path))
    folder, again = storage.working_folder(uri), storage.working_folder(uri)
    assert folder != again and storage.working_folder(str(tmp_path)) == tmp_path
    storage.fetch(uri, folder)  # nothing there yet
    (folder / "stage1_target").mkdir()
    (folder / "stage1_target" / "best.json").write_text("{}")
    (folder / "trials.csv").write_text("trial_id\n")
    (folder / ".lock").write_text("not a result")
    storage.publish(folder, uri)
    assert not (tmp_path / "bucket" / "study" / ".lock").exists()
    tune = tmp_path / "bucket" / "study" / "tune" / "t0"
    tune.mkdir(parents=True)
    (tune / "result.json").write_text("Tune's own")
    storage.fetch(uri, again)
    found = {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    assert found == {"stage1_target/best.json", "trials.csv"}


def test_a_link_at_a_uri_is_replaced_and_what_a_write_left_is_not_a_result(tmp_path):
    folder, bucket, target = tmp_path / "study", tmp_path / "bucket", tmp_path / "precious"
    for made in (folder, bucket):
        made.mkdir()
    target.write_text("precious")
    (bucket / "best.json").symlink_to(target)
    (folder / "best.json").write_text("{}")
    (folder / ".best.json.0f.json").write_text("{")
    storage.publish(folder, bucket.as_uri())
    assert target.read_text() == "precious" and (bucket / "best.json").read_text() == "{}"
    assert [path.name for path in bucket.iterdir()] == ["best.json"]
    (bucket / ".best.json.1f.json").write_text("{")
    storage.fetch(bucket.as_uri(), tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["best.json"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("s3:/bucket/x", "a URI must have two slashes"),
        ("foo://bar", "Unrecognized filesystem type"),
        ("S3://bucket", "Unrecognized filesystem type"),
        ("s3://", "no bucket is named"),
        ("s3://a b/x", "cannot be used"),
        ("file://relative/x", "Unsupported hostname"),
        pytest.param(  # AWS's client tries again for 6 s
            "s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http",
            "NETWORK_CONNECTION",
            marks=pytest.mark.slow,
        ),
        ("a/b://c", "--out a/b://c: cannot be used"),
    ],
)
def test_a_uri_that_cannot_be_used_is_one_line_naming_out(place, words, monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "mock")
    with pytest.raises(UserError) as caught:
        storage.working_folder(place)
    message = str(caught.value)
    assert message.startswith(f"--out {place}: ") and words in message and "\n" not in message


def test_a_winner_is_published_after_all_that_it_stands_for(tmp_path, monkeypatch):
    """A driver that is killed in between leaves no study that seems to be finished."""
    folder, copied = tmp_path / "study", []
    folder.mkdir()
    for name in ("best.json", "best.safetensors", "study.json", "trials.csv"):
        (folder / name).write_text("{}")
    monkeypatch.setattr(storage, "_copy", lambda path, *_: copied.append(path.name))
    storage.publish(folder, (tmp_path / "bucket").as_uri())
    assert len(copied) == 4 and copied[-1] == "best.json"


def test_only_a_uri_needs_its_files_published(tmp_path):
    folder, bucket = tmp_path / "study", tmp_path / "bucket"
    folder.mkdir()
    (folder / "study.json").write_text("{}")
    storage.publisher(folder, str(folder))()
    assert [path.name for path in folder.iterdir()] == ["study.json"]
    storage.publisher(folder, bucket.as_uri())()
    assert (bucket / "study.json").read_text() == "{}"


def test_two_evaluations_at_once_keep_each_others_scores(tmp_path):
    uri, one, other = (tmp_path / "out").as_uri(), tmp_path / "one", tmp_path / "other"
    for folder in (tmp_path / "out", one, other):
        folder.mkdir()
    (one / "scores.jsonl").write_text("before\nours 1\n")
    storage.publish_lines(one / "scores.jsonl", uri)
    (other / "scores.jsonl").write_text("before\ntheirs\n")  # fetched before ours came
    storage.publish_lines(other / "scores.jsonl", uri)
    with (tmp_path / "out" / "scores.jsonl").open("a") as file:
        file.write("hal")
    (one / "scores.jsonl").write_text("before\nours 1\nours 2\n")
    storage.publish_lines(one / "scores.jsonl", uri)
    kept = (tmp_path / "out" / "scores.jsonl").read_text()
    assert kept == "before\nours 1\ntheirs\nours 2\n"
