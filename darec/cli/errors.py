"""Turns every exception that ends a command into one line: what happened, and how to go on."""

import errno
import os
import tempfile
import traceback
from pickle import PickleError
from zipfile import BadZipFile
from zlib import error as ZlibError

from darec.errors import UserError

LONGEST = 600
"""Most characters of an exception's own text that the line repeats."""
KEPT, RESUME = (
    "what was finished is kept",
    "and the same command with --resume continues the search",
)
MESSAGES = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE),
    *(errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EXDEV),
}
"""Errors of the operating system whose own text is all that a user needs."""


def line_of(error: Exception, resumes: bool = False) -> str:
    """Return the line of an exception; the traceback of one that nobody expected goes to a file.

    ``resumes``: the command has ``--resume``.
    """
    error = _cause(error)
    kept = f"{KEPT}, {RESUME}" if resumes else KEPT
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    libraries = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    if isinstance(error, UserError):
        return " ".join(str(error).splitlines())
    if type(error).__name__ == "OutOfMemoryError" and "torch" in libraries:
        return f"the GPU's memory is full: {text}; give trials more with --gpus-per-trial; {kept}"
    if isinstance(error, MemoryError):
        return f"the memory is full: {text or 'no size is known'}; run less at once; {kept}"
    if "ray" in libraries:
        return f"Ray: {type(error).__name__}: {text}; {kept}"
    if isinstance(error, OSError) and error.errno in MESSAGES and "pyarrow" not in libraries:
        return text
    if "pyarrow" in libraries:
        return f"pyarrow: {type(error).__name__}: {text}; check the file or address that it names"
    if isinstance(error, BadZipFile | PickleError | ZlibError | EOFError):
        return f"a file is damaged or cut short: {type(error).__name__}: {text}; {kept}"
    kept_in = _write_traceback(error)
    return f"unexpected {type(error).__name__}: {text}; {kept}; {kept_in}; please report it"


def _cause(error: Exception) -> Exception:
    """Return what a Ray task raised, in place of the error that Ray wraps it in."""
    while isinstance(cause := getattr(error, "cause", None), Exception) and cause is not error:
        error = cause
    return error


def _write_traceback(error: Exception) -> str:
    """Write a traceback to a new file that only this user can read, and return where it is."""
    try:
        handle, name = tempfile.mkstemp(prefix="darec-error-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError as full:
        return f"the traceback could not be kept ({full}), -v prints it"
    return f"the traceback is in {name}"
