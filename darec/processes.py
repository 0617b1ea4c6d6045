"""How the processes of a command end: with the process that started them, or with one line."""

import ctypes
import os
import signal
import sys

from darec.reporter import LOGGER

PARENT = "DAREC_PARENT"
"""The environment variable with the id of the process that started this one."""
PR_SET_PDEATHSIG = 1


class _Command:
    """Whether this process runs a command of darec, and nothing of somebody else's."""

    runs = False
    stops = False
    """Whether it was asked to stop."""


def begin_command() -> None:
    """Note that this process runs a command, and let it end with the process in `PARENT`.

    A search whose cluster is gone would only wait. It can be resumed from its snapshot.
    """
    _Command.runs = True
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        end_with_parent(int(parent))


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent process ends (Linux only)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        os.kill(os.getpid(), signal.SIGKILL)


def note_stop() -> None:
    """Note that this command was asked to stop: it ends by itself, whatever else ends with it."""
    _Command.stops = True


def give_up(reason: str) -> None:
    """End a command at once, from any thread, with one line on stderr and exit code 1.

    In a process that runs other code than a command, such as a notebook, the line is only logged.
    """
    if _Command.stops:  # a signal to a group of processes also ends those of Ray
        return
    if not _Command.runs:
        LOGGER.error(reason)
        return
    sys.stdout.flush()
    print(f"error: {reason}", file=sys.stderr, flush=True)
    os._exit(1)
