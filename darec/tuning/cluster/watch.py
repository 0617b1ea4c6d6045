"""Notices when the Ray that this process is connected to is gone, before Ray ends the process.

Ray's core worker ends its process from C++, without a word, up to a minute after the cluster's
control service (GCS) or this node's raylet has died. The watch holds an open connection to each of
them. The kernel closes it in the moment in which the other process ends, however busy the machine
is, and a new one is then refused.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import ray

from darec.processes import give_up

LOOK_S = 0.5
"""Seconds between two looks at the connections."""
MAY_RETURN_S = 40.0
"""How long the GCS of a cluster that was joined may be away, since a cluster may restart it, and
how long any process may be out of reach. Ray itself waits for 60 s."""
LOST = (
    "what was trained since the last checkpoints is lost; "
    "the same command goes on from there (darec tune: with --resume)"
)


@dataclass
class Line:
    """A connection that is held for no other reason than to notice its end."""

    name: str
    """The process at the other end."""
    dial: Callable[[], socket.socket]
    """Makes a connection; raises ``OSError``."""
    patience_s: float
    """How long new connections may be refused before the process counts as gone."""

    def __post_init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lost_at = 0.0

    def is_dead(self) -> bool:
        """Return whether the process is gone; a connection that it has closed is made again."""
        if self._socket is not None and not self._was_closed(self._socket):
            return False
        self.hang_up()
        try:
            self._socket = self.dial()
        except OSError as error:
            self._lost_at = self._lost_at or time.monotonic()
            refused = isinstance(error, ConnectionRefusedError | FileNotFoundError)
            limit = self.patience_s if refused else MAY_RETURN_S
            return time.monotonic() - self._lost_at >= limit
        self._socket.setblocking(False)
        self._lost_at = 0.0
        return False

    @staticmethod
    def _was_closed(connection: socket.socket) -> bool:
        try:
            while connection.recv(4096):  # gRPC greets whoever connects
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def hang_up(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watch_ray(started_here: bool) -> threading.Event:
    """Watch Ray in a thread (`give_up`); the event that is returned ends the watch.

    It must be set before this process ends Ray itself. ``started_here`` is whether Ray was started
    by this process, so that nobody will restart it.
    """
    context = ray.get_runtime_context()
    address, node_id = context.gcs_address, context.get_node_id()
    host, port = address.rsplit(":", 1)
    (path,) = (n["RayletSocketName"] for n in ray.nodes() if n["NodeID"] == node_id)
    gcs_patience_s = 0.0 if started_here else MAY_RETURN_S
    lines = [
        Line("raylet (Ray's process on this machine)", lambda: _unix(path), 0.0),
        Line(f"GCS (Ray's control service, {address})", lambda: _tcp(host, port), gcs_patience_s),
    ]
    over = threading.Event()
    threading.Thread(target=_watch, args=(lines, over), daemon=True, name="watch").start()
    return over


def _watch(lines: list[Line], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        dead = [line.name for line in lines if line.is_dead()]
        if dead and not over.is_set():
            give_up(f"the {dead[0]} has ended or was killed: {LOST}")
            break
    for line in lines:
        line.hang_up()


def _unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(5)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _tcp(host: str, port: str) -> socket.socket:
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection
