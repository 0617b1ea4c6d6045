import pytest

from darec.files import write, write_json


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
