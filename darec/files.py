"""Write files so that a crash or power loss leaves the old file or the new one, not half of one.

No symbolic link is followed in place of a file that is written: results may lie in folders that
others can write to. A link is replaced, or refused where a file is added to.
"""

import errno
import fcntl
import glob
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from darec.errors import UserError

SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither follow a link nor wait for the other end of a pipe."""
STALE_S = 24 * 3600.0
"""A temporary file that nobody wrote to for so long belongs to no process."""
NOT_PLAIN = {errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO}
"""What opening a link (EMLINK on BSD), a folder or a socket raises."""


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Let ``save`` write a temporary file in the folder of ``path``, and rename it to ``path``.

    The new file is on the disk when this returns. It has the permissions that the umask allows.
    What ``save`` raises is passed on; the old file then stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{path.suffix}")
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    allowed = stat.S_IMODE(os.fstat(handle).st_mode)
    os.close(handle)
    try:
        save(temporary)
        temporary.chmod(allowed)  # safetensors makes the file anew
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _remove_stale(path: Path) -> None:
    """Remove the temporary files of a process that was killed a day ago or longer."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * 16}{glob.escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > STALE_S:
                left.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; raises ``ValueError`` for a number that is not finite."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def append(path: Path, lines: str) -> None:
    """Add whole lines to a file in one write; they are on the disk when this returns.

    Half a line that an interrupted write left is cut off first. Other processes may append at the
    same time.
    Raises `UserError` where `open_to_append` does.
    """
    with open_to_append(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # what looks like half a line is not being written
        file.seek(0)
        content = file.read()
        size = content.rfind(b"\n") + 1
        if is_whole(content[size:]):
            lines, size = f"\n{lines}", len(content)
        file.truncate(size)
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())
    if not size:
        _sync_folder(path.parent)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(rest: bytes) -> bool:
    """Return whether a last line without a line break is JSON, and not cut short by a crash."""
    try:
        json.loads(rest)
    except ValueError:
        return False
    return True


def open_to_append(path: Path) -> IO[bytes]:
    """Open a file that is read and added to; it and its folder are made if they are absent.

    Raises `UserError` where something else than a plain file has its name, such as a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFELY, 0o666)
    except OSError as error:
        if error.errno not in NOT_PLAIN:
            raise
        raise _not_plain(path) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _not_plain(path)
    return os.fdopen(handle, "ab+")


def _not_plain(path: Path) -> UserError:
    kind = "a symbolic link" if path.is_symlink() else "not one"
    return UserError(f"{path}: must be a plain file, but is {kind}; move it out of the way")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk, where its file system can do so."""
    with suppress(OSError):
        _sync(folder)
