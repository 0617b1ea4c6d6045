"""Tune's snapshot of a search, kept once more: Tune overwrites its own in place.

Where the driver is killed or the disk is full just then, files are cut short that ``--resume``
needs. The copy beside ``tune/`` is made of what the driver staged, whole, and renamed into place.
An object store replaces whole objects, and needs none.
"""

import json
import pickletools
import shutil
import time
from pathlib import Path
from typing import Any

from pyarrow.fs import FileSystem, LocalFileSystem
from ray import tune

STATES = ("experiment_state-*", "search_gen_state-*", "searcher-state-*", "callback-states-*")
"""The files of a snapshot; those of a later run of the search have later names."""
KEPT = "snapshot"
PERIOD_S, SHARE = 10.0, 1 / 50
"""Seconds between copies, or more where they would take a larger share of the time."""


class KeepSnapshots(tune.Callback):
    """Copies the latest snapshot to a folder beside Tune's."""

    def __init__(self) -> None:
        self._due = 0.0

    def setup(self, **info: Any) -> None:
        """Begin a run of the search: it may have another clock than the last."""
        self._due = 0.0

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Copy what is staged, if it is time; what was kept stays where there is no room."""
        begin = time.monotonic()
        if begin < self._due or not trials:
            return
        storage = trials[0].storage
        staged = _states(Path(storage.experiment_driver_staging_path))
        if staged and isinstance(storage.storage_filesystem, LocalFileSystem):
            _replace(Path(storage.experiment_fs_path).parent / KEPT, staged)
            now = time.monotonic()
            self._due = now + max(PERIOD_S, (now - begin) / SHARE)


def mend(path: str) -> bool:
    """Put the copy in the place of a snapshot that was cut short; say whether that was needed."""
    files, root = FileSystem.from_uri(path)
    kept = _states(Path(root).parent / KEPT)
    if not kept or not isinstance(files, LocalFileSystem) or all(map(_whole, _states(Path(root)))):
        return False
    for state in _states(Path(root)):
        state.unlink()
    for state in kept:
        shutil.copy2(state, root)
    return True


def drop_copy(folder: Path) -> None:
    """Delete the copy of a study that is finished."""
    shutil.rmtree(folder / KEPT, ignore_errors=True)


def _states(folder: Path) -> list[Path]:
    return [path for pattern in STATES for path in folder.glob(pattern)]


def _whole(state: Path) -> bool:
    """Whether a file can be read to its end; a pickle is not run for that."""
    content = state.read_bytes()
    try:
        if content.startswith(b"{"):
            json.loads(content)
        else:
            for _ in pickletools.genops(content):
                pass
    except ValueError:  # also what JSON raises
        return False
    return True


def _replace(folder: Path, files: list[Path]) -> None:
    new, old = (folder.with_name(f".{folder.name}.{which}") for which in ("new", "old"))
    try:
        for stale in (new, old):
            shutil.rmtree(stale, ignore_errors=True)
        new.mkdir()
        for path in files:
            shutil.copy2(path, new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError:  # no room: what is kept stays, and the search will hear of it from its trials
        pass
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
