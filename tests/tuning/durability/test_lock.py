import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

from darec.errors import UserError
from darec.tuning.durability import lock
from darec.tuning.durability.lock import LOCK, alone, folder_locked

HOLD = """
import sys
from pathlib import Path
from darec.tuning.durability.lock import alone
with alone(Path(sys.argv[1]), sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_search_in_a_folder_is_refused_and_told_by_whom(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"another search writes here .process {other.pid} on"):
            with alone(tmp_path, str(tmp_path)):
                pass
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
    with alone(tmp_path, str(tmp_path)):  # a killed search leaves no lock behind
        pass


def test_a_search_waits_while_status_looks_at_its_lock(tmp_path):
    with (tmp_path / LOCK).open("wb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        release = threading.Timer(lock.GLANCE_S / 4, fcntl.flock, (looking, fcntl.LOCK_UN))
        release.start()
        with folder_locked(tmp_path):
            pass
        release.join()


def test_a_lock_that_is_a_link_is_refused_and_its_target_kept(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / ".lock").symlink_to(target)
    with pytest.raises(UserError, match=r"\.lock: must be a plain file, but is a symbolic link"):
        with folder_locked(tmp_path / "report"):
            pass
    assert target.read_text() == "precious"


def test_a_second_search_under_a_uri_is_refused(cluster, tmp_path):
    uri = f"file://{tmp_path}/out"
    with alone(tmp_path, uri):
        with pytest.raises(UserError, match="another search of this cluster writes here"):
            with alone(tmp_path, uri):
                pass
        with alone(tmp_path, f"{uri}/other"):
            pass
    with alone(tmp_path, uri):
        pass
