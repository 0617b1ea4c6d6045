from darec.tuning import mirror


def test_plain_files_go_to_a_uri_and_come_back(tmp_path):
    uri = (tmp_path / "bucket" / "study").as_uri()
    assert mirror.is_uri(uri) and not mirror.is_uri(str(tmp_path))
    folder, again = mirror.working_folder(uri), mirror.working_folder(uri)
    mirror.fetch(uri, folder)  # nothing there yet
    (folder / "stage1_target").mkdir()
    (folder / "stage1_target" / "best.json").write_text("{}")
    (folder / "trials.csv").write_text("trial_id\n")
    mirror.publish(folder, uri)
    tune = tmp_path / "bucket" / "study" / "tune" / "t0"
    tune.mkdir(parents=True)
    (tune / "result.json").write_text("Tune's own")
    mirror.fetch(uri, again)
    found = {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    assert found == {"stage1_target/best.json", "trials.csv"}
