"""Ends this process when the process that started it ends."""

import ctypes
import os
import signal
import sys

PARENT = "DAREC_PARENT"
"""The environment variable with the id of the process that started this one."""
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the kernel kill this process when the process in `PARENT` ends (Linux only).

    A search whose cluster is gone would only wait. It can be resumed from its snapshot.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # the parent ended before the call above
        os.kill(os.getpid(), signal.SIGKILL)
