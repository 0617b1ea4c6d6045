"""Shows at a URI that a search runs there, and carries the request to end it to the search.

In a folder the lock and a file do both. A URI has no locks, and the search does not look there. So
a thread writes `RUNNING` at the URI now and then, and looks for the file `STOP`.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from darec.errors import UserError
from darec.parsing import parse_json
from darec.reporter import LOGGER
from darec.tuning.durability.holder import is_gone, this_process
from darec.tuning.storage import delete, exists, join, naming, open_place, read, replace

RUNNING = ".running"
"""The file that a search writes at its URI while it runs."""
STOP = ".stop"
"""The file in the folder or at the URI of a search that asks it to end."""
EVERY_S = 15.0
"""Seconds between two beats."""
ALIVE_S = 4 * EVERY_S
"""A search whose last beat is older does not run any more. The clock of the machine that asks may
differ by less than this."""


@dataclass(frozen=True)
class Beat:
    """The content of `RUNNING`."""

    process: str
    """The process that searches, ``process 12 on a_host``."""
    at: float
    """When it was written, in seconds since 1970."""


@contextmanager
def beating(folder: Path, uri: str) -> Iterator[None]:
    """Show at a URI that a search runs there, until the block ends.

    ``folder`` is where the search looks for `STOP`. What was asked of an earlier search does not
    count.
    """
    with suppress(UserError, OSError):
        delete(*open_place(join(uri, STOP)))
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(folder, uri, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(EVERY_S)
        with suppress(UserError, OSError):
            delete(*open_place(join(uri, RUNNING)))


def _beat(folder: Path, uri: str, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            content = json.dumps(asdict(Beat(this_process(), time.time())))
            replace(*open_place(join(uri, RUNNING)), content.encode())
            wish = open_place(join(uri, STOP))
            if exists(*wish):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / STOP).touch()
                delete(*wish)
        except Exception as error:  # one that fails must not end the others
            LOGGER.debug("%s: no beat: %s", uri, error)
        ended.wait(EVERY_S)


def runs_at(uri: str) -> str | None:
    """Return which process searches at a URI; None if none does.

    Raises `UserError` when the URI cannot be read.
    """
    place = join(uri, RUNNING)
    with naming(uri):
        files, path = open_place(place)
        content = read(files, path) if exists(files, path) else None
    if content is None:
        return None
    beat = parse_json(content, Beat, place)
    alive = time.time() - beat.at < ALIVE_S and not is_gone(beat.process)
    return beat.process if alive else None
