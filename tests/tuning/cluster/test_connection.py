"""One connection to Ray for all that a process does."""

import signal
import socket
import sys
import threading
import time

import pytest

from darec.errors import UserError
from darec.tuning.cluster import authentication, connection
from darec.tuning.cluster.connection import connected
from darec.tuning.cluster.watch import Watch


@pytest.fixture
def ray_calls(monkeypatch):
    """A Ray that only notes what is asked of it."""
    calls, up = [], []

    def start(**options):
        calls.append(("init", options["address"]))
        up.append(True)

    def stop():
        calls.append(("shutdown",))
        up.clear()

    monkeypatch.setattr(connection.ray, "is_initialized", lambda: bool(up))
    monkeypatch.setattr(connection.ray, "init", start)
    monkeypatch.setattr(connection.ray, "shutdown", stop)
    monkeypatch.setattr(connection.ray, "cluster_resources", dict)
    monkeypatch.setattr(connection, "cluster_address", lambda: "10.0.0.1:6379")
    monkeypatch.setattr(connection, "resolved", lambda address: address)
    monkeypatch.setattr(connection, "asks_for_token", lambda target: target != "open:6379")
    monkeypatch.setattr(connection, "use_token", lambda: None)
    monkeypatch.setattr(connection, "set_mode", lambda mode: None)
    monkeypatch.setattr(connection, "watch_ray", lambda started_here: Watch([]))
    return calls


def test_nested_blocks_share_one_connection_by_the_address_as_it_was_typed(ray_calls):
    with connected("localhost:6379") as joined:
        assert joined
        with connected("localhost:6379") as again, connected(None):
            assert again
        assert ray_calls == [("init", "localhost:6379")]
        with pytest.raises(UserError, match="--address other:1: Ray is already connected to local"):
            with connected("other:1"):
                pass
    assert ray_calls == [("init", "localhost:6379"), ("shutdown",)]
    with connected(None) as joined:
        assert not joined
    assert ray_calls[2:] == [("init", "local"), ("shutdown",)]


def test_an_interruption_before_the_block_ends_what_was_started(ray_calls, monkeypatch):
    def interrupted(started_here):
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "watch_ray", interrupted)
    with pytest.raises(KeyboardInterrupt), connected(None):
        pass
    assert ray_calls == [("init", "local"), ("shutdown",)]


def test_the_last_of_several_threads_closes_the_connection(ray_calls):
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with connected(None):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    with connected(None):
        thread.start()
        assert inside.wait(10)
    assert ("shutdown",) not in ray_calls
    leave.set()
    thread.join(10)
    assert ray_calls == [("init", "local"), ("shutdown",)]


def test_a_connection_of_the_callers_own_is_used_and_kept(ray_calls):
    connection.ray.init(address="10.0.0.1:6379")
    with connected(None) as joined, connected("head:6379"):
        assert joined
    assert ray_calls == [("init", "10.0.0.1:6379")]


def test_only_a_warning_is_given_of_a_callers_own_cluster_that_asks_for_no_token(
    ray_calls, monkeypatch, caplog
):
    monkeypatch.setattr(connection, "cluster_address", lambda: "open:6379")
    connection.ray.init(address="open:6379")
    for _ in range(2):
        with connected(None):
            pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the cluster at open:6379 asks for no token" in caplog.text


def test_a_cluster_that_does_not_answer_is_one_line(ray_calls, monkeypatch):
    monkeypatch.setattr(connection, "asks_for_token", lambda target: None)
    told = "--address head:6379: no Ray cluster can be joined: no head of a cluster answers at head"
    with pytest.raises(UserError, match=told), connected("head:6379"):
        pass
    assert not ray_calls


@pytest.mark.parametrize(
    "address",
    [
        *("", "local", "head", "head:", ":6379", "head:port", "head:0", "head:99999", "head:-1"),
        *("ray://head:10001", "http://head:6379", "a b:6379", "::1:6379", "head:²", "x" * 5000),
    ],
)
def test_an_address_of_another_form_is_one_line(address, ray_calls):
    with pytest.raises(UserError) as caught, connected(address):
        pass
    told = str(caught.value)
    assert told.startswith("--address must be auto, or HOST:PORT of the cluster's head, as in 10.")
    assert len(told) < 200 and ("Ray Client" in told) == address.startswith("ray://")
    assert not ray_calls


def test_services_that_are_no_head_are_reported_within_seconds(monkeypatch):
    """One that takes calls and says nothing, one that answers something else, and no service."""
    monkeypatch.setattr(authentication, "ANSWER_S", 0.5)
    silent, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))

    def answer():
        call, _ = other.accept()
        call.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        call.close()

    threading.Thread(target=answer, daemon=True).start()
    with silent, other, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = [each.getsockname()[1] for each in (silent, other, closed)]
        closed.close()
        for port in ports:
            begin = time.monotonic()
            with pytest.raises(UserError, match=f"no head of a cluster answers at 127.*:{port}; "):
                connection.connect(f"127.0.0.1:{port}")
            assert time.monotonic() - begin < 10


def test_a_folder_whose_path_is_too_long_for_sockets_is_reported_with_its_variable(monkeypatch):
    def refused(**options):
        told = "AF_UNIX path length cannot exceed 107 bytes: /long/path"
        raise ValueError(f"validate_socket_filename failed: {told}")

    monkeypatch.setattr(connection, "use_token", lambda: None)
    monkeypatch.setattr(connection.ray, "init", refused)
    with pytest.raises(
        UserError, match=r"too long for sockets: /long/path; set RAY_TMPDIR to a sh"
    ):
        connection.connect(None, 1)


def test_a_stop_while_ray_starts_is_an_interruption(monkeypatch):
    """Until ``ray.init`` has returned, SIGTERM has Ray's own handler, which leaves the process."""
    monkeypatch.setattr(connection, "use_token", lambda: None)
    monkeypatch.setattr(connection.ray, "init", lambda **_: sys.exit(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        connection.connect(None, 1)
