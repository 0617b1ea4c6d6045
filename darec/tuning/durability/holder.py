"""Names the process that holds a place: ``process 12 on a_host``."""

import os
import re
import socket
from pathlib import Path


def this_process() -> str:
    """Return the name of this process."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def process_of(name: str) -> tuple[int, str] | None:
    """Return the number and the host of a process by its name; None if this names none."""
    found = re.fullmatch(r"process (\d+) on (\S+)", name)
    return (int(found[1]), found[2]) if found else None


def is_gone(name: str) -> bool:
    """Return whether a process has ended, or its name is malformed.

    A process counts as running if it is on another host, or if there is no ``/proc``.
    """
    number, host = process_of(name) or (0, "")
    processes = Path("/proc")  # not every system has it
    ended = processes.is_dir() and not (processes / str(number)).exists()
    return not number or (host == socket.gethostname() and ended)
