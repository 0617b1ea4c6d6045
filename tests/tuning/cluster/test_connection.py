"""One connection to Ray for all that a process does."""

import signal
import sys
import threading

import pytest

from darec.errors import UserError
from darec.tuning.cluster import connection
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
    told = "--address head:6379: no Ray cluster can be joined: nothing answers at head:6379"
    with pytest.raises(UserError, match=told), connected("head:6379"):
        pass
    assert not ray_calls


def test_a_stop_while_ray_starts_is_an_interruption(monkeypatch):
    """Until ``ray.init`` has returned, SIGTERM has Ray's own handler, which leaves the process."""
    monkeypatch.setattr(connection, "use_token", lambda: None)
    monkeypatch.setattr(connection.ray, "init", lambda **_: sys.exit(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        connection.connect(None, 1)
