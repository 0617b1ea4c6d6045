from pathlib import Path

from darec.tuning import mirror


def test_plain_files_go_to_a_uri_and_come_back(tmp_path):
    uri = (tmp_path / "bucket" / "study").as_uri()
    assert mirror.is_uri(uri) and not mirror.is_uri(str(tmp_path))
    folder, again = mirror.working_folder(uri), mirror.working_folder(uri)
    mirror.fetch(uri, folder)  # nothing there yet
    (folder / "stage1_target").mkdir()
    (folder / "stage1_target" / "best.json").write_text("{}")
    (folder / "trials.csv").write_text("trial_id\n")
    (folder / ".lock").write_text("not a result")
    mirror.publish(folder, uri)
    assert not (tmp_path / "bucket" / "study" / ".lock").exists()
    tune = tmp_path / "bucket" / "study" / "tune" / "t0"
    tune.mkdir(parents=True)
    (tune / "result.json").write_text("Tune's own")
    mirror.fetch(uri, again)
    found = {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    assert found == {"stage1_target/best.json", "trials.csv"}


def test_a_winner_is_published_after_all_that_it_stands_for(tmp_path, monkeypatch):
    """A driver that is killed in between leaves no study that seems to be finished."""
    folder, copied = tmp_path / "study", []
    folder.mkdir()
    for name in ("best.json", "best.safetensors", "study.json", "trials.csv"):
        (folder / name).write_text("{}")
    monkeypatch.setattr(mirror.fs, "copy_files", lambda path, *_: copied.append(Path(path).name))
    mirror.publish(folder, (tmp_path / "bucket").as_uri())
    assert len(copied) == 4 and copied[-1] == "best.json"


def test_two_evaluations_at_once_keep_each_others_scores(tmp_path):
    uri, one, other = (tmp_path / "out").as_uri(), tmp_path / "one", tmp_path / "other"
    for folder in (tmp_path / "out", one, other):
        folder.mkdir()
    (one / "scores.jsonl").write_text("before\nours 1\n")
    mirror.publish_lines(one / "scores.jsonl", uri)
    (other / "scores.jsonl").write_text("before\ntheirs\n")  # fetched before ours came
    mirror.publish_lines(other / "scores.jsonl", uri)
    (one / "scores.jsonl").write_text("before\nours 1\nours 2\n")
    mirror.publish_lines(one / "scores.jsonl", uri)
    kept = (tmp_path / "out" / "scores.jsonl").read_text()
    assert kept == "before\nours 1\ntheirs\nours 2\n"
