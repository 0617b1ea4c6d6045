"""What the searches below a folder are doing, read from their files alone; and how to stop one."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.durability.lock import holder_of
from darec.tuning.study.halt import STOP
from darec.tuning.study.record import load_study

State = Literal["running", "finished", "interrupted", "waiting"]
"""``waiting`` is a study of a search that has not come to it yet."""
LOOK_S = 0.5
"""Seconds between two looks whether a search has ended."""


@dataclass(frozen=True)
class StudyStatus:
    """One study on disk."""

    study: str
    """Its folder, relative to that of all results."""
    state: State
    process: str
    """The process that runs it; empty if none does."""
    ended: dict[str, int]
    """How many of its trials ended in which way, or are ``unfinished``."""
    asked: int
    """The number of trials that it was asked for."""
    best_valid_rmse: float | None
    began: float
    """When its search began, in seconds since 1970."""
    bytes: int
    """The size of its files."""

    @property
    def n_ended(self) -> int:
        """The number of trials that have ended."""
        return sum(count for end, count in self.ended.items() if end != "unfinished")


def status(out: str | Path = "results") -> list[StudyStatus]:
    """Return every study below a folder or URI of results, in the order of their names.

    Raises `UserError` if there is no such folder, or no search in it.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> _ = darec.search("mean", pair, out="results", resume=True)
        >>> [(each.study, each.state, each.n_ended) for each in darec.status("results")]
        [('toys_auto-synthetic-90/mean', 'finished', 1)]
    """
    root = storage.working_folder(str(out)) if storage.is_uri(str(out)) else Path(out)
    if storage.is_uri(str(out)):
        storage.fetch(str(out), root)
    if not root.is_dir():
        raise UserError(f"{out}: no such folder")
    found: list[StudyStatus] = []
    for path in _searches(root):
        try:
            found += _studies(root, path)
        except UserError as error:  # of another version perhaps; the others count
            LOGGER.warning(error)
    if not found:
        raise UserError(f"{out}: no search is in this folder; begin one with darec tune")
    return found


def stop(study: str | Path, wait_s: float = 60.0) -> bool:
    """Ask a running search to end as Ctrl-C does; return whether it did within ``wait_s`` seconds.

    ``study`` is its folder. Raises `UserError` if no search runs there.
    """
    if storage.is_uri(str(study)):
        raise UserError(f"{study}: a search at a URI is stopped where it runs, by Ctrl-C")
    folder = Path(study)
    if not (folder / "study.json").is_file():
        raise UserError(f"{study}: no search is here; darec status lists all")
    if holder_of(folder) is None:
        raise UserError(f"{study}: no search runs here")
    (folder / STOP).touch()
    until = time.monotonic() + wait_s
    while holder_of(folder) is not None:
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_S)
    (folder / STOP).unlink(missing_ok=True)
    return True


def _searches(root: Path) -> Iterator[Path]:
    """Yield the folders of all searches."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "tune"]  # Ray Tune's own files
        if "study.json" in names:
            found.append(Path(folder))
    yield from sorted(found)


def _studies(root: Path, folder: Path) -> Iterator[StudyStatus]:
    """Yield the studies of a search in the order in which they run."""
    record, process = load_study(folder), holder_of(folder) or ""
    stages = [folder / f"stage1_{domain}" for domain in ("target", "source")]
    counts = [record.budget.stage1_trials, record.budget.stage1_trials, record.budget.trials]
    studies = [*(stages if record.stage1 else []), folder]
    current = next((each for each in studies if not (each / "best.json").is_file()), None)
    if current is None and process:
        current = folder  # a finished search that is given more trials
    for each, asked in zip(studies, counts[-len(studies) :], strict=True):
        ended, best = _trials(each)
        state: State = "finished"
        if each == current:
            state = "running" if process else "interrupted"
        elif not (each / "best.json").is_file():
            state = "waiting"
        yield StudyStatus(
            study=str(each.relative_to(root)),
            state=state,
            process=process if state == "running" else "",
            ended=ended,
            asked=asked,
            best_valid_rmse=best,
            began=(folder / "study.json").stat().st_mtime,
            bytes=_size(each, [] if each != folder else stages),
        )


def _trials(folder: Path) -> tuple[dict[str, int], float | None]:
    """Return how trials ended, and the lowest validation RMSE."""
    path = folder / "trials.csv"
    if not path.is_file():
        return {}, None
    try:
        table = pd.read_csv(path, usecols=["ended", "best_valid_rmse"])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not len(table):
        return {}, None
    ends = table["ended"].str.partition(":")[0].value_counts()
    best = float(table["best_valid_rmse"].min())
    return {str(end): int(n) for end, n in ends.items()}, best if best < float("inf") else None


def _size(folder: Path, without: list[Path]) -> int:
    """Return the bytes of all files below a folder, without those of some folders in it."""
    total, left_out = 0, {each.name for each in without}
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in left_out]
        for name in names:
            with suppress(OSError):  # a running search deletes files
                total += (Path(place) / name).lstat().st_size
    return total
