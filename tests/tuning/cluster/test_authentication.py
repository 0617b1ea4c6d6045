"""Who may enter a Ray cluster: the token, the addresses it listens on, and clusters without one."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from darec.errors import UserError
from darec.tuning.cluster import authentication
from darec.tuning.cluster.authentication import MODE, TOKEN, TOKEN_PATH, asks_for_token, use_token

ROOT = Path(__file__).parents[3]
HOLD = "\nprint('AT', ray.get_runtime_context().gcs_address, flush=True); input()"
OURS = "import ray; from darec.tuning.cluster.connection import connect; connect(None, 1)"
OPEN = """
import ray; from darec.tuning.private import on_loopback
with on_loopback(): ray.init(address="local", num_cpus=1, include_dashboard=False)
"""
INTRUDER = """
import sys, ray; from darec.tuning.private import on_loopback
with on_loopback(): ray.init(address=sys.argv[1], log_to_driver=False)
print(ray.get(ray.remote(lambda: "code ran").remote()))
"""
JOIN = """
import os, sys; from darec.errors import UserError
from darec.tuning.cluster.connection import cluster_address, connected
address, os.environ["RAY_AUTH_MODE"] = sys.argv[1], "token"
try:
    with connected(address): print("joined", cluster_address(), os.environ["RAY_AUTH_MODE"])
except UserError as error:
    print(error)
print("mode", os.environ["RAY_AUTH_MODE"])
"""
LISTENS = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F")
"""127.0.0.1, as /proc/net/tcp and tcp6 write it."""


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A home folder without a token, and no token in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (TOKEN, TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(authentication, "read_authentication_again", lambda: None)
    monkeypatch.setenv(MODE, "")
    return tmp_path


def test_the_token_is_made_once_and_for_this_user_alone(home, caplog):
    use_token()
    path = home / ".ray" / "auth_token"
    token = path.read_text()
    assert len(token) == 64 and path.stat().st_mode & 0o777 == 0o600
    assert os.environ[MODE] == "token"
    use_token()
    assert path.read_text() == token and list(path.parent.iterdir()) == [path] and not caplog.text


def test_processes_that_make_the_token_at_once_have_the_same(home):
    threads = [threading.Thread(target=use_token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (token,) = (home / ".ray").iterdir()
    assert len(token.read_text()) == 64


def test_a_token_that_others_can_read_is_closed_to_them_or_told(home, caplog, monkeypatch):
    use_token()
    path = home / ".ray" / "auth_token"
    path.chmod(0o644)
    use_token()
    assert path.stat().st_mode & 0o777 == 0o600 and not caplog.text

    def refused(path, mode):
        raise PermissionError

    path.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refused)
    use_token()
    assert f"{path}: other users can read the token" in caplog.text


def test_a_token_that_cannot_be_kept_is_one_line(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv(TOKEN_PATH, str(home / "file" / "token"))
    with pytest.raises(UserError, match=f"file/token: Ray's token cannot be kept.*{TOKEN} or"):
        use_token()


def test_without_a_home_that_can_be_written_the_token_is_of_this_process_alone(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    use_token()
    assert len(os.environ[TOKEN]) == 64 and [path.name for path in home.iterdir()] == ["file"]


def test_an_empty_token_is_one_line(home):
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(" \n")
    with pytest.raises(UserError, match="auth_token: must hold Ray's token, but is empty; delete"):
        use_token()


def test_where_nothing_answers_nothing_is_known():
    assert asks_for_token("127.0.0.1:1") is None


@pytest.mark.ray
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_a_local_search_asks_for_the_token_and_listens_on_this_machine_alone():
    with running(OURS, RAY_AUTH_MODE="disabled") as (pid, address):
        heard = list(listeners(pid))
        assert len(heard) >= 5, heard  # the driver, the head, the node and their agents
        assert all(where in LOOPBACK for where, _ in heard), heard
        assert asks_for_token(address)
        said = intrude(address, **{TOKEN: "wrong"})
        assert "code ran" not in said and "InvalidAuthToken" in said, said
        assert "code ran" in intrude(address)
        assert f"joined {address}" in intrude(address, code=JOIN)


@pytest.mark.ray
def test_a_cluster_without_a_token_is_refused_unless_insecure():
    with running(OPEN, RAY_AUTH_MODE="disabled") as (_, address):
        assert "code ran" in intrude(address, RAY_AUTH_MODE="disabled")
        told = intrude(address, code=JOIN)
        assert f"--address {address}: the cluster at {address} asks for no token" in told, told
        assert "--insecure" in told and "joined" not in told and told.endswith("mode token\n")
        told = intrude(address, code=JOIN.replace("(address)", "(address, insecure=True)"))
        assert f"joined {address} disabled" in told and told.endswith("mode token\n"), told


@contextmanager
def running(code, **environment):
    """Run Ray in another process; yield its process number and the cluster's address."""
    process = subprocess.Popen(
        [sys.executable, "-c", code + HOLD],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("AT "):
                break
        assert said[-1].startswith("AT "), said
        yield process.pid, said[-1].split()[1]
    finally:
        process.communicate("\n", timeout=60)


def intrude(address, code=INTRUDER, **environment):
    """Try to run code in a cluster from a process of its own; return what it said."""
    ended = subprocess.run(
        [sys.executable, "-c", code, address],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.stdout + ended.stderr


def listeners(root):
    """Yield address and port, in hexadecimal, that a process or its offspring listens on."""
    sockets = {link for pid in offspring(root) for link in open_files(pid)}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in sockets:
                yield tuple(fields[1].split(":"))


def offspring(root):
    """Return the numbers of a process and of all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def open_files(pid):
    """Yield what a process has open."""
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            yield os.readlink(descriptor)
        except OSError:
            continue
