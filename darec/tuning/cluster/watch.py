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
from multiprocessing.connection import wait

import ray

from darec.processes import LastWords, give_up, is_stopping

LOOK_S = 0.5
"""Most seconds between two looks at the connections. The end of one is noticed at once."""
STOP_S = 5.0
"""How long a command that was asked to stop may take to end by itself if its Ray has ended too."""
MAY_RETURN_S = 40.0
"""How long the GCS of a cluster that was joined may be away, since a cluster may restart it, and
how long any process may be out of reach. Ray itself waits for 60 s."""
LOST = (
    "training since the last checkpoints is lost; "
    "run the same command again to continue (darec tune: add --resume)"
)


@dataclass
class Line:
    """A connection to another process. It is open only so that its end can be noticed."""

    name: str
    """The process at the other end."""
    dial: Callable[[], socket.socket]
    """Makes a connection; raises ``OSError``."""
    patience_s: float
    """How long new connections may be refused before the process counts as gone."""

    def __post_init__(self) -> None:
        self.socket: socket.socket | None = None
        self._lost_at = 0.0

    def is_dead(self) -> bool:
        """Return whether the process is gone; a connection that it has closed is made again."""
        if self.socket is not None and not self._was_closed(self.socket):
            return False
        self.hang_up()
        try:
            self.socket = self.dial()
        except OSError as error:
            self._lost_at = self._lost_at or time.monotonic()
            refused = isinstance(error, ConnectionRefusedError | FileNotFoundError)
            limit = self.patience_s if refused else MAY_RETURN_S
            return time.monotonic() - self._lost_at >= limit
        self.socket.setblocking(False)
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
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Watch:
    """Watches connections in a thread, and ends the command when one of them is dead.

    Ray ends the process as well, once another node or process tells it of the loss. If Ray is
    faster, the last words are those of `LastWords`.
    """

    def __init__(self, lines: list[Line]) -> None:
        self._lines, self._over = lines, threading.Event()
        self._last_words = LastWords(f"error: Ray ended this process, or it was killed: {LOST}")
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def end(self) -> None:
        """End the watch; to be called before this process ends Ray itself."""
        self._over.set()
        self._last_words.dismiss()

    def _run(self) -> None:
        while not self._over.is_set():
            dead = [line.name for line in self._lines if line.is_dead()]
            if dead and not self._over.wait(STOP_S if is_stopping() else 0.0):
                self._last_words.dismiss()
                give_up(f"the {dead[0]} has ended or was killed: {LOST}")
                break
            opened = [line.socket for line in self._lines if line.socket is not None]
            if len(opened) == len(self._lines):
                wait(opened, LOOK_S)
            else:
                self._over.wait(LOOK_S)
        for line in self._lines:
            line.hang_up()


def watch_ray(started_here: bool) -> Watch:
    """Return a watch of the Ray that this process is connected to.

    ``started_here`` is whether Ray was started by this process, so that nobody will restart it.
    """
    context = ray.get_runtime_context()
    address, node_id = context.gcs_address, context.get_node_id()
    host, port = address.rsplit(":", 1)
    (path,) = (n["RayletSocketName"] for n in ray.nodes() if n["NodeID"] == node_id)
    gcs_patience_s = 0.0 if started_here else MAY_RETURN_S
    return Watch(
        [
            Line("raylet (Ray's process on this machine)", lambda: _unix(path), 0.0),
            Line(
                f"GCS (Ray's control service, {address})", lambda: _tcp(host, port), gcs_patience_s
            ),
        ]
    )


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
