"""Tune's snapshot of a search once more, in one file that is replaced whole.

Tune overwrites the files of its own in place, one after the other: a driver that is killed, or a
disk that is full just then, leaves some cut short, or of another moment than the rest. The copy is
what the driver had written on its own disk, and what ``--resume`` goes on from.
"""

import io
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from pyarrow.fs import FileSelector, FileSystem, LocalFileSystem
from ray import tune

from darec.files import write

STATES = (
    "experiment_state-{}.json",
    "search_gen_state-{}.json",
    "searcher-state-{}.pkl",
    "callback-states-{}.pkl",
)
"""The files of a snapshot, by when its run of the search began; Tune takes those of the last."""
DRIVER = "tuner.pkl"
"""Written when a search begins; Tune copies it, too, over and over."""
COPY = "snapshot.zip"
EVERY_S, SHARE = 0.25, 1 / 20
"""Seconds between two looks for a new snapshot; more where copies would take a larger share."""


class KeepSnapshots(tune.Callback):
    """Copies each snapshot to a file beside Tune's folder."""

    def __init__(self) -> None:
        self._storage: Any = None
        self._copied, self._due = 0, 0.0

    def setup(self, **info: Any) -> None:
        """Begin a run of the search."""
        self._storage, self._copied, self._due = None, 0, 0.0

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for a new snapshot, if it is time."""
        if trials and time.monotonic() >= self._due:
            self._storage = trials[0].storage
            self.copy()

    def copy(self) -> None:
        """Copy the latest snapshot unless it was; one that fails is tried again next time."""
        if self._storage is None:
            return
        begin = time.monotonic()
        staged = _latest(Path(self._storage.experiment_driver_staging_path))
        changed = max((path.stat().st_mtime_ns for path in staged.values()), default=0)
        if len(staged) == len(STATES) and changed != self._copied:
            files, folder = self._storage.storage_filesystem, self._storage.experiment_fs_path
            with suppress(OSError):
                _put(files, _beside(folder), _packed(files, f"{folder}/{DRIVER}", staged))
                self._copied = changed
        now = time.monotonic()
        self._due = now + max(EVERY_S, (now - begin) / SHARE)


def take_copy(path: str) -> None:
    """Put the copy in the place of the snapshot, if there is one; again, if that was interrupted.

    Its files are named after now, as those of the last run of the search.
    """
    files, folder = FileSystem.from_uri(path)
    if not files.get_file_info(_beside(folder)).is_file:
        return
    with files.open_input_stream(_beside(folder)) as source:
        content = source.read()
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    with ZipFile(io.BytesIO(content)) as copy:
        for name in (DRIVER, *STATES):
            _put(files, f"{folder}/{name.format(now)}", copy.read(name))
    new = [name.format(now) for name in STATES]
    for found in files.get_file_info(FileSelector(folder)):
        if any(_is(state, found.base_name) for state in STATES) and found.base_name not in new:
            files.delete_file(found.path)


def drop_copy(path: str) -> None:
    """Delete the copy of a search that is finished."""
    files, folder = FileSystem.from_uri(path)
    if files.get_file_info(_beside(folder)).is_file:
        files.delete_file(_beside(folder))


def _latest(folder: Path) -> dict[str, Path]:
    """Return the file of the last run of a search, of each kind."""
    names = os.listdir(folder) if folder.is_dir() else []
    found = {state: [name for name in names if _is(state, name)] for state in STATES}
    return {state: folder / max(names) for state, names in found.items() if names}


def _is(state: str, name: str) -> bool:
    return name.startswith(state.partition("{")[0])


def _packed(files: FileSystem, driver: str, staged: dict[str, Path]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as copy, files.open_input_stream(driver) as source:
        copy.writestr(DRIVER, source.read())
        for name, path in staged.items():
            copy.write(path, name)
    return content.getvalue()


def _beside(folder: str) -> str:
    return f"{folder.rstrip('/').rpartition('/')[0]}/{COPY}"


def _put(files: FileSystem, path: str, content: bytes) -> None:
    """Write a file in one go: an object store replaces whole objects, a disk renames."""
    if isinstance(files, LocalFileSystem):
        write(Path(path), lambda temporary: temporary.write_bytes(content))
        return
    with files.open_output_stream(path) as target:
        target.write(content)
