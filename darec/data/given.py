"""Check that a path is a readable file, and name what it is otherwise: a folder, a pipe."""

import os
import stat
from pathlib import Path

from darec.errors import UserError

SAVE = "is read more than once, so it must be a file: save it as one first (... > ratings.csv)"
"""What helps where bytes can be read only once."""
KINDS = {
    stat.S_IFDIR: "is a folder; name a file in it",
    stat.S_IFIFO: f"is a pipe; what is given here {SAVE}",
    stat.S_IFSOCK: f"is a socket; what is given here {SAVE}",
    stat.S_IFCHR: f"is a device; what is given here {SAVE}",
    stat.S_IFBLK: f"is a device; what is given here {SAVE}",
}
"""What a path may be instead of a file, and what helps."""


def check_file(path: Path) -> None:
    """Raise `UserError` unless a path is a file that can be read; the message says what it is.

    A link to a file is a file. Nothing is read, so that this may be asked of a pipe.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind == stat.S_IFREG:
            os.close(os.open(path, os.O_RDONLY))
    except FileNotFoundError as error:
        message = f"is a link to {path.readlink()}, which is not there" if path.is_symlink() else ""
        raise UserError(f"{path}: {message or 'no such file'}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read: {reason}") from error
    if kind != stat.S_IFREG:
        raise UserError(f"{path}: {KINDS.get(kind, 'is not a file')}")
