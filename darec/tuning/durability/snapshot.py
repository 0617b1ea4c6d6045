"""A second copy of Tune's snapshot of a search, in one file that is replaced as a whole.

Tune overwrites the files of its own snapshot in place, one after the other. If the driver is killed
in between, or the disk is full, some files are truncated or belong to different snapshots. So
``--resume`` continues from the copy, which was made from complete files. If the copy is damaged, it
continues from Tune's own files, if they are complete and belong to one snapshot.
"""

import hashlib
import io
import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from pyarrow.fs import FileSystem, FileType
from ray import tune
from ray.tune.experiment.trial import Trial

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.private import (
    CALLBACK_STATES,
    ERROR_PICKLE,
    GENERATOR,
    SNAPSHOT_FILES,
    TUNER_FILE,
    callback_states_in,
    continued,
    snapshot_place,
)
from darec.tuning.trial.names import trial_id_of

COPY = "snapshot.zip"
"""The copy's name; it lies beside Tune's folder."""
DIGESTS = "digests"
"""The entry of a callback's state that holds the digests of a snapshot's other files."""
START_AGAIN = "delete the study's folder to start it again, or give another --out"
EVERY_S, SHARE = 0.25, 1 / 20
"""Seconds between two looks for a new snapshot, and the largest share of time for copies."""


class CopySnapshots(tune.Callback):
    """Copies each new snapshot that Tune writes."""

    def __init__(self) -> None:
        self._begin()

    def setup(self, **info: Any) -> None:
        """Begin a run of the search."""
        self._begin()

    def _begin(self) -> None:
        self._place: tuple[Path, FileSystem, str] | None = None
        self._copied, self._due = 0, 0.0
        self._trials: list[Any] = []
        self._needed_by_latest: frozenset[str] = frozenset()
        self.needed_by_copy: frozenset[str] | None = None
        """Ids of the trials whose checkpoints a resume from the copy needs: those with a checkpoint
        that are not terminated in the copy. None before the first copy."""

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for a new snapshot when it is time."""
        self._trials = trials
        if trials and self._place is None:
            self._place = snapshot_place(trials[0])
        if time.monotonic() >= self._due:
            self.copy()

    @property
    def folder(self) -> Path | None:
        """Where the driver writes snapshots before they are copied; None before the first trial."""
        return self._place[0] if self._place else None

    def get_state(self) -> dict[str, Any]:
        """Return the digests of a snapshot's other files, all of which are written before.

        Tune asks for it with every snapshot.
        """
        live = (each for each in self._trials if each.status != Trial.TERMINATED)
        self._needed_by_latest = frozenset(each.trial_id for each in live if each.checkpoint)
        latest = _latest(self._place[0]) if self._place else {}
        others = {kind: path for kind, path in latest.items() if kind != CALLBACK_STATES}
        return {DIGESTS: {kind: _digest(path.read_bytes()) for kind, path in others.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing: the digests are read by `restore_copy`, before the search is restored."""

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
                storage.replace(files, copy_of(folder), _packed(files, folder, latest))
                self._copied, self.needed_by_copy = changed, self._needed_by_latest
        now = time.monotonic()
        self._due = now + max(EVERY_S, (now - begin) / SHARE)


def restore_copy(path: str) -> None:
    """Put the copy, if there is one, in the place of Tune's own snapshot.

    The present time goes into the names of its files, so that Tune takes them as the newest.
    Repeating an interrupted call is harmless. ``path`` is Tune's folder. Raises `UserError` if
    both are damaged.
    """
    files, folder = storage.open_place(path)
    if not storage.exists(files, copy_of(folder)):
        return
    try:
        contents = _unpacked(storage.read(files, copy_of(folder)))
    except Exception as error:  # what a damaged archive raises depends on the place of the damage
        if not _is_whole(files, folder):
            message = f"damaged ({error}), and so is Tune's own snapshot in {folder}"
            raise UserError(f"{copy_of(folder)}: {message}; {START_AGAIN}") from error
        message = "continuing from Tune's own snapshot"
        LOGGER.warning("%s: damaged (%s); %s in %s", copy_of(folder), error, message, folder)
        return
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for name, content in contents.items():
        storage.replace(files, f"{folder}/{name.format(now)}", content)
    LOGGER.debug("%s: restored from %s", folder, COPY)
    new = [name.format(now) for name in SNAPSHOT_FILES]
    for found in storage.listed(files, folder):
        if _kind_of(found.base_name) and found.base_name not in new:
            files.delete_file(found.path)


def _unpacked(packed: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(packed)) as copy:
        return {name: copy.read(name) for name in (TUNER_FILE, *SNAPSHOT_FILES)}


def _is_whole(files: FileSystem, folder: str) -> bool:
    """Return whether Tune's newest files are complete and belong to one snapshot."""
    newest: dict[str, bytes] = {}
    for found in sorted(storage.listed(files, folder), key=lambda found: found.base_name):
        if kind := _kind_of(found.base_name):
            newest[kind] = storage.read(files, found.path)
    try:
        states = callback_states_in(newest.pop(CALLBACK_STATES))
        (digests,) = (state[DIGESTS] for state in states if DIGESTS in state)
    except Exception as error:  # a damaged pickle may raise anything
        LOGGER.debug("%s: %r", folder, error)
        return False
    return bool({kind: _digest(content) for kind, content in newest.items()} == digests)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def delete_copy(path: str) -> None:
    """Delete the copy of a search that is finished."""
    files, folder = storage.open_place(path)
    storage.delete(files, copy_of(folder))


def has_snapshot(path: str) -> bool:
    """Return whether Tune has written a snapshot. It writes none before the first trial.

    An empty one is none: the disk has been full since the search began.
    """
    files, folder = storage.open_place(path)
    first = SNAPSHOT_FILES[0]
    found = [each for each in storage.listed(files, folder) if _kind_of(each.base_name) == first]
    if found and not any(each.size for each in found):
        LOGGER.warning(
            "%s: Tune's snapshot is empty (a full disk?); the study starts again", folder
        )
    return any(each.size for each in found)


def update_trial_generator(path: str, trials: int) -> None:
    """Set the total number of trials, and make Tune store new trials in this folder.

    The folder may have been moved or copied since the search began.
    """
    files, folder = storage.open_place(path)
    for found in storage.listed(files, folder):
        if _kind_of(found.base_name) == GENERATOR:
            before = storage.read(files, found.path)
            if (here := continued(before, files, folder, trials)) != before:
                LOGGER.debug("%s: continued here, with %d trials", folder, trials)
                storage.replace(files, found.path, here)


def delete_unknown_trials(path: str, known: set[str]) -> None:
    """Delete the folders of trials that are not in the snapshot, before they are drawn again.

    They were drawn after the snapshot, by a driver that was killed, and would get the same ids.
    """
    files, folder = storage.open_place(path)
    for found in storage.listed(files, folder):
        if found.type == FileType.Directory and trial_id_of(found.base_name).isdigit():
            if found.base_name not in known:
                files.delete_dir(found.path)


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


def copy_of(folder: str) -> str:
    """Return where the copy of a snapshot is, given Tune's folder."""
    return str(PurePosixPath(folder).parent / COPY)
