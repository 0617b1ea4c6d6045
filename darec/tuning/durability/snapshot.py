"""A second copy of Tune's snapshot of a search, in one file that is replaced as a whole.

Tune overwrites the files of its own snapshot in place, one after the other. A driver that is killed
meanwhile, or a full disk, leaves some of them cut short, or of different moments. ``--resume``
therefore continues from the copy, which was made from the driver's complete files.
"""

import io
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from pyarrow.fs import FileSystem
from ray import tune

from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.private import ERROR_PICKLE, SNAPSHOT_FILES, TUNER_FILE, snapshot_place

COPY = "snapshot.zip"
"""The copy's name; it lies beside Tune's folder."""
EVERY_S, SHARE = 0.25, 1 / 20
"""Seconds between two looks for a new snapshot, and the largest share of time for copies."""


class CopySnapshots(tune.Callback):
    """Copies each new snapshot that Tune writes."""

    def __init__(self) -> None:
        self._place: tuple[Path, FileSystem, str] | None = None
        self._copied, self._due = 0, 0.0

    def setup(self, **info: Any) -> None:
        """Begin a run of the search."""
        self._place, self._copied, self._due = None, 0, 0.0

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for a new snapshot when it is time."""
        if trials and time.monotonic() >= self._due:
            self._place = snapshot_place(trials[0])
            self.copy()

    def copy(self) -> None:
        """Copy the latest snapshot if it is new; a copy that fails is tried again next time."""
        if self._place is None:
            return
        begin = time.monotonic()
        staging, files, folder = self._place
        latest = _latest(staging)
        changed = max((path.stat().st_mtime_ns for path in latest.values()), default=0)
        if len(latest) == len(SNAPSHOT_FILES) and changed != self._copied:
            with suppress(OSError):
                storage.replace(files, _copy_of(folder), _packed(files, folder, latest))
                self._copied = changed
        now = time.monotonic()
        self._due = now + max(EVERY_S, (now - begin) / SHARE)


def restore_copy(path: str) -> None:
    """Put the copy, if there is one, in the place of Tune's own snapshot.

    The present time goes into the names of its files, so that Tune takes them as the newest.
    Repeating an interrupted call is harmless. ``path`` is Tune's folder.
    """
    files, folder = storage.open_place(path)
    if not storage.exists(files, _copy_of(folder)):
        return
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    with ZipFile(io.BytesIO(storage.read(files, _copy_of(folder)))) as copy:
        for name in (TUNER_FILE, *SNAPSHOT_FILES):
            storage.replace(files, f"{folder}/{name.format(now)}", copy.read(name))
    LOGGER.debug("%s: restored from %s", folder, COPY)
    new = [name.format(now) for name in SNAPSHOT_FILES]
    for found in storage.listed(files, folder):
        if _kind_of(found.base_name) and found.base_name not in new:
            files.delete_file(found.path)


def delete_copy(path: str) -> None:
    """Delete the copy of a search that is finished."""
    files, folder = storage.open_place(path)
    storage.delete(files, _copy_of(folder))


def has_snapshot(path: str) -> bool:
    """Return whether Tune has written a snapshot. It writes none before the first trial."""
    files, folder = storage.open_place(path)
    first = SNAPSHOT_FILES[0]
    return any(_kind_of(found.base_name) == first for found in storage.listed(files, folder))


def delete_pickled_errors(path: str) -> None:
    """Delete the exceptions that Tune pickled. A full disk may have cut some of them short."""
    files, folder = storage.open_place(path)
    for found in storage.listed(files, folder, recursive=True):
        if found.base_name == ERROR_PICKLE:
            files.delete_file(found.path)


def _latest(folder: Path) -> dict[str, Path]:
    """Return the newest file of each kind: those of the last run of a search."""
    found: dict[str, Path] = {}
    for name in sorted(os.listdir(folder) if folder.is_dir() else []):
        if kind := _kind_of(name):
            found[kind] = folder / name
    return found


def _kind_of(name: str) -> str:
    """Return which of `SNAPSHOT_FILES` a file's name belongs to; empty if to none."""
    kinds = (kind for kind in SNAPSHOT_FILES if name.startswith(kind.partition("{")[0]))
    return next(kinds, "")


def _packed(files: FileSystem, folder: str, latest: dict[str, Path]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as copy:
        copy.writestr(TUNER_FILE, storage.read(files, f"{folder}/{TUNER_FILE}"))
        for name, path in latest.items():
            copy.write(path, name)
    return content.getvalue()


def _copy_of(folder: str) -> str:
    return str(PurePosixPath(folder).parent / COPY)
