"""Downloads against a server on the loopback interface; no request leaves the machine."""

import hashlib
import http.server
import os
import stat
import threading

import pytest

from darec.data import download
from darec.data.download import fetch
from darec.errors import UserError

CONTENT = b"A1AAAAAAAAAAAA,B000000001,5.0,10\n"


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    root.mkdir()
    (root / "ratings_Toys_and_Games.csv").write_bytes(CONTENT)
    (root / "Toys_and_Games.csv").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        requests = 0

        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(root), **kwargs)

        def do_GET(self):
            type(self).requests += 1
            super().do_GET()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        serving.url, serving.handler, serving.root = (
            f"http://127.0.0.1:{serving.server_port}/",
            Handler,
            root,
        )
        yield serving
        serving.shutdown()


def toys(server, folder, year=2014, **options):
    return fetch("Toys_and_Games", year, folder, "toys_auto", base_url=server.url, **options)


def test_a_file_is_downloaded_once_checked_and_in_silence(server, tmp_path, monkeypatch, capfd):
    os.umask(umask := os.umask(0))
    good = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setitem(download.SHA256_2014, "Toys_and_Games", good)
    path = toys(server, tmp_path)
    assert path.read_bytes() == CONTENT
    assert toys(server, tmp_path) == path and server.handler.requests == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert {found.name for found in path.parent.iterdir()} == {path.name, "sha256.json"}
    assert capfd.readouterr() == ("", "")


def test_a_wrong_sha256_is_refused_and_nothing_kept(server, tmp_path):
    with pytest.raises(UserError, match=r"sha256 must be e28a342c.*--accept-changed"):
        toys(server, tmp_path)
    assert not [path for path in tmp_path.rglob("*.csv") if "served" not in path.parts]


def test_a_file_put_there_by_hand_is_checked_and_can_be_accepted(server, tmp_path):
    path = tmp_path / "2014" / "ratings_Toys_and_Games.csv"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    with pytest.raises(UserError, match="sha256 must be"):
        toys(server, tmp_path)
    assert toys(server, tmp_path, accept_changed=True) == path
    assert toys(server, tmp_path) == path and server.handler.requests == 0


def test_a_later_year_records_its_first_sha256(server, tmp_path):
    path = toys(server, tmp_path, year=2018)
    path.write_bytes(CONTENT * 2)
    with pytest.raises(UserError, match="sha256 must be"):
        toys(server, tmp_path, year=2018)


def test_offline_says_which_file_to_put_where(server, tmp_path):
    gone = f"http://127.0.0.1:{server.server_port}/nowhere/"
    with pytest.raises(UserError, match=r"put the file at .*Toys_and_Games.csv.*--synthetic"):
        fetch("Toys_and_Games", 2014, tmp_path, "toys_auto", base_url=gone)
    assert not list((tmp_path / "2014").glob("*.csv"))


@pytest.mark.parametrize("content", ['{"Toys', "[]", '{"Toys_and_Games.csv": 1}'])
def test_a_damaged_record_is_named(server, tmp_path, content):
    record = toys(server, tmp_path, year=2018).with_name("sha256.json")
    record.write_text(content)
    with pytest.raises(UserError, match=r"sha256.json: must be a JSON object .* delete it"):
        toys(server, tmp_path, year=2018)
