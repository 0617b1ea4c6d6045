"""What the searches below a folder are doing, read from their files alone; and how to stop one."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from darec.errors import UserError
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.durability.heartbeat import STOP
from darec.tuning.durability.lock import searching
from darec.tuning.study.record import load_study

State = Literal["running", "finished", "interrupted", "waiting"]
"""``waiting``: the search has not begun this study yet."""
READ = {"study.json", "trials.csv"}
"""The files of a study that tell what it is doing."""
LOOK_S = 0.5
"""Seconds between two looks whether a search in a folder has ended."""
LOOK_AT_URI_S = 5.0
"""The same for a search at a URI."""


@dataclass(frozen=True)
class StudyStatus:
    """One study on disk."""

    study: str
    """Its folder, relative to that of all results."""
    search: str
    """The folder of its search, which may have several studies."""
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
    place = str(out)
    if storage.is_uri(place):
        root, sizes = storage.working_folder(place), storage.sizes(place)
        for path in (path for path in sizes if PurePosixPath(path).name in READ):
            storage.fetch_file(storage.join(place, path), root / path)
    else:
        root = Path(place)
        if not root.is_dir():
            raise UserError(f"{out}: no such folder")
        sizes = _sizes(root)
    found: list[StudyStatus] = []
    for search in _searches(sizes):
        try:
            process = searching(storage.join(place, *search.parts))
            found += _studies(root, search, process or "", sizes)
        except UserError as error:  # of another version perhaps; the others count
            LOGGER.warning(error)
    if not found:
        raise UserError(f"{out}: no search is in this folder; begin one with darec tune")
    return found


def stop(study: str | Path, wait_s: float = 60.0) -> bool:
    """Ask a running search to end as Ctrl-C does; return whether it did within ``wait_s`` seconds.

    ``study`` is its folder or URI. Raises `UserError` if no search runs there.
    """
    at_uri = storage.is_uri(str(study))
    place = str(study) if at_uri else str(Path(study).resolve())
    with storage.naming(str(study)):
        if not storage.exists(*storage.open_place(storage.join(place, "study.json"))):
            raise UserError(f"{study}: no search is here; darec status lists all")
        if searching(place) is None:
            raise UserError(f"{study}: no search runs here")
        wish = storage.open_place(storage.join(place, STOP))
        storage.replace(*wish, b"")
        until = time.monotonic() + wait_s
        while searching(place) is not None:
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK_AT_URI_S if at_uri else LOOK_S)
        storage.delete(*wish)
    return True


def _searches(sizes: Mapping[str, int]) -> list[PurePosixPath]:
    """Return the folders of all searches, relative to that of all results."""
    found = (PurePosixPath(path) for path in sizes)
    ours = (path for path in found if "tune" not in path.parts)  # not Ray Tune's own files
    return sorted(path.parent for path in ours if path.name == "study.json")


def _studies(
    root: Path, search: PurePosixPath, process: str, sizes: Mapping[str, int]
) -> Iterator[StudyStatus]:
    """Yield the studies of a search in the order in which they run."""
    record = load_study(root / search)
    stages = [search / f"stage1_{domain}" for domain in ("target", "source")]
    counts = [record.budget.stage1_trials, record.budget.stage1_trials, record.budget.trials]
    studies = [*(stages if record.stage1 else []), search]
    is_finished = {each: str(each / "best.json") in sizes for each in studies}
    current = next((each for each in studies if not is_finished[each]), None)
    if current is None and process:
        current = search  # a finished search that is given more trials
    bytes_of = {each: _bytes_below(each, sizes) for each in studies}
    bytes_of[search] -= sum(bytes_of[each] for each in studies[:-1])
    for each, asked in zip(studies, counts[-len(studies) :], strict=True):
        ended, best = _trials(root / each)
        state: State = "finished" if is_finished[each] else "waiting"
        if each == current:
            state = "running" if process else "interrupted"
        yield StudyStatus(
            study=str(each),
            search=str(search),
            state=state,
            process=process if state == "running" else "",
            ended=ended,
            asked=asked,
            best_valid_rmse=best,
            began=record.began or (root / search / "study.json").stat().st_mtime,
            bytes=bytes_of[each],
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


def _bytes_below(folder: PurePosixPath, sizes: Mapping[str, int]) -> int:
    return sum(size for path, size in sizes.items() if PurePosixPath(path).is_relative_to(folder))


def _sizes(root: Path) -> dict[str, int]:
    """Return the bytes of every file below a folder, by its path below it."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            with suppress(OSError):  # a running search deletes files
                found[path.relative_to(root).as_posix()] = path.lstat().st_size
    return found
