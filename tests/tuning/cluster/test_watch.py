"""A Ray that dies is told in one line, and one that is ended is not."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darec import processes
from darec.tuning.cluster import watch
from darec.tuning.cluster.watch import Line
from tests.tuning.durability import cycles
from tests.tuning.durability.struck import SLOW, TRIALS, completed, training

ROOT = Path(__file__).parents[3]


def listening(port=0):
    server = socket.create_server(("127.0.0.1", port))
    return server, server.getsockname()[1]


def line_to(port, patience_s):
    return Line("it", lambda: socket.create_connection(("127.0.0.1", port)), patience_s)


def test_a_closed_connection_is_made_again_and_a_refused_one_tells_that_the_process_is_gone():
    server, port = listening()
    line = line_to(port, 0.0)
    for _ in range(3):
        assert not line.is_dead() and not line.is_dead()
        connection, _ = server.accept()
        connection.sendall(b"hello")
        assert not line.is_dead()
        connection.close()  # as a server does with a connection that says nothing
    server.close()
    assert line.is_dead()


def test_a_busy_process_that_accepts_nobody_is_not_gone():
    server, port = listening()
    line = line_to(port, 0.0)
    assert not any(line.is_dead() for _ in range(20))
    line.hang_up()
    server.close()


def test_a_process_that_may_return_is_waited_for(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    server, port = listening()
    line = line_to(port, 40.0)
    assert not line.is_dead()
    server.accept()[0].close()
    server.close()
    assert not line.is_dead()
    now[0] += 39
    assert not line.is_dead()
    server, _ = listening(port)
    assert not line.is_dead()
    server.accept()[0].close()
    server.close()
    assert not line.is_dead()
    now[0] += 41
    assert line.is_dead()


CONNECTED = """
import os, signal, subprocess, sys, time
from darec.processes import begin_command
from darec.tuning.cluster.connection import connected
kind, name = sys.argv[1:]
if kind == "command":
    begin_command()
with connected(None, 1):
    children = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout.split()
    pids = dict(zip(children[1::2], map(int, children[::2])))
    time.sleep(2)
    if name != "none":
        os.kill(pids[name], signal.SIGKILL)
        time.sleep(5)
print("the end")
"""


@pytest.mark.ray
@pytest.mark.parametrize(
    ("kind", "name"), [("command", "raylet"), ("notebook", "raylet"), ("command", "none")]
)
def test_a_command_ends_with_one_line_and_a_notebook_logs_it(kind, name):
    command = [sys.executable, "-c", CONNECTED, kind, name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    told = [line for line in ended.stderr.splitlines() if "the raylet (" in line]
    if name == "none":
        assert ended.returncode == 0 and "the end" in ended.stdout and not ended.stderr
    elif kind == "notebook":
        assert len(told) == 1 and told[0].startswith("the raylet (Ray's process on this machine)")
    else:
        assert ended.returncode == 1 and "the end" not in ended.stdout
        assert len(told) == 1 and told[0].startswith("error: the raylet (")


@pytest.mark.ray
@pytest.mark.parametrize(
    "names", [("gcs", "raylet"), pytest.param(("agent",), marks=pytest.mark.nightly)]
)
def test_a_search_whose_ray_is_killed_says_so_and_goes_on_with_resume(names, tmp_path):
    for name in names:
        driver = training(tmp_path, tmp_path / name, *SLOW)
        pid, *_ = cycles.processes(driver.pid, name)
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        assert driver.wait(timeout=60) == 1 and time.monotonic() - begin < 10
        time.sleep(1)  # the last words may come after the end
        said = [line for line in (tmp_path / name).read_text().splitlines() if "error:" in line]
        assert len(said) == 1 and said[0].startswith("error: ") and "--resume" in said[0], said
    assert completed(tmp_path, tmp_path / "log", *SLOW) == TRIALS


@pytest.fixture
def given_up(monkeypatch):
    """What a command that was asked to stop says of a lost Ray, in place of its end."""
    said = []
    monkeypatch.setattr(processes._Command, "stops", True)
    monkeypatch.setattr(watch, "STOP_S", 1.0)
    monkeypatch.setattr(watch, "give_up", said.append)
    return said


def test_a_command_that_was_asked_to_stop_may_end_by_itself(given_up):
    """A signal to a group of processes also ends those of Ray."""
    begun = watch.Watch([line_to(1, 0.0)])
    begun.end()
    time.sleep(1.2)
    assert not given_up
    watch.Watch([line_to(1, 0.0)])
    time.sleep(1.5)
    assert len(given_up) == 1


STOPPED = """
import sys
from darec.processes import begin_command, give_up, note_stop
begin_command()
note_stop()
give_up("Ray has ended")
"""


def test_a_stopped_command_that_has_lost_its_ray_was_interrupted():
    ended = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "interrupted: Ray has ended\n")


KILLED = """
import os, sys
from darec.processes import LastWords, begin_command
if sys.argv[1] == "command":
    begin_command()
words = LastWords("error: killed")
if sys.argv[2] == "dismissed":
    words.dismiss()
os._exit(1)
"""


@pytest.mark.parametrize("kind", ["command", "notebook"])
@pytest.mark.parametrize("end", ["dismissed", "killed"])
def test_a_process_that_ends_without_a_word_has_last_words(kind, end):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, kind, end], capture_output=True, text=True
    )
    speaks = kind == "command" and end == "killed"
    assert (ended.returncode, ended.stderr) == (1, "error: killed\n" if speaks else "")
