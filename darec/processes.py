"""A command that another one started ends with it, however that one ends."""

import ctypes
import os
import signal
import sys

PARENT = "DAREC_PARENT"
"""Names the process that started this one, and whose end is its own."""
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the kernel kill this process when the one that `PARENT` names is killed (Linux).

    At once: with their cluster gone, searches would only wait. They continue from their snapshots.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it was killed before that
        os.kill(os.getpid(), signal.SIGKILL)
