"""How the processes of a command end: with the process that started them, or with one line."""

import ctypes
import os
import signal
import subprocess
import sys

from darec.reporter import LOGGER

PARENT = "DAREC_PARENT"
"""The environment variable with the id of the process that started this one."""
PR_SET_PDEATHSIG = 1
INTERRUPTED = 130
"""The exit code of a command that was interrupted. Shells use it for programs ended by SIGINT."""


LAST_WORDS = "import sys; sys.stdin.buffer.read() or print(sys.argv[1], file=sys.stderr)"
"""Waits for the end of the process at the other end of its pipe, which may write a farewell."""


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
    """Note that this command was asked to stop."""
    _Command.stops = True


def is_stopping() -> bool:
    """Return whether this command was asked to stop, and so is ending by itself."""
    return _Command.stops


class LastWords:
    """A helper process that prints a line if this process ends without one, as C++ code may do.

    It does so only for a command; `dismiss` ends it before the process ends by itself.
    """

    def __init__(self, line: str) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if _Command.runs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAST_WORDS, line],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # signals to this process's group do not reach it
            )

    def dismiss(self) -> None:
        """Let the other process end without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate(b"farewell")


def give_up(reason: str) -> None:
    """End a command at once, from any thread, with one line on stderr.

    The exit code is 1, or `INTERRUPTED` if the command was asked to stop: a signal to a group of
    processes ends those of Ray as well. In a process that runs other code than a command, such as a
    notebook, the line is only logged.
    """
    if not _Command.runs:
        LOGGER.error(reason)
        return
    sys.stdout.flush()
    print("interrupted:" if _Command.stops else "error:", reason, file=sys.stderr, flush=True)
    os._exit(INTERRUPTED if _Command.stops else 1)
