"""Runs what is missing, several cells at once, each as the commands that a user would type."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from darec.errors import UserError
from darec.processes import PARENT
from darec.report.cells import Budget, Cell, winner

JOBS = Path(__file__).parents[2] / "jobs"


@dataclass(frozen=True)
class Place:
    """Where the commands run and put their results."""

    out: Path
    """All results; every node sees it."""
    data: Path
    """Prepared pairs, where the commands run."""
    address: str
    """Of the Ray cluster that all of them share."""
    trials_at_once: int | None
    """Of each search, so that several have room; None: as many as there is room for."""
    gpus_per_trial: str = ""
    """As `jobs/tune.py` takes it; "": by memory."""


def command(cell: Cell, step: str, budget: Budget, place: Place) -> list[str]:
    """Return a step of a cell as a command line; each continues what it finds."""
    common = ["--pair", cell.pair, "--train", str(cell.train), "--model", cell.model]
    common += ["--data", str(place.data), "--out", str(cell.out(place.out))]
    common += ["--address", place.address, *(["--synthetic"] if cell.synthetic else [])]
    if step == "search":
        words = ["tune.py", *common, "--resume", "--trials", str(budget.trials)]
        words += ["--stage1-trials", str(budget.stage1_trials)]
        words += ["--max-epochs", str(budget.max_epochs)]
        if place.gpus_per_trial:
            words += ["--gpus-per-trial", place.gpus_per_trial]
        words += [word for fixed in cell.fix for word in ("--fix", fixed)]
    elif step == "evaluate":
        words = ["evaluate.py", *common, "--seeds", str(budget.seeds)]
    else:
        words = ["cold_users.py", *common, "--seeds", str(budget.seeds)]
    if place.trials_at_once is not None:
        words += ["--at-once", str(place.trials_at_once)]
    return [sys.executable, str(JOBS / words[0]), *words[1:]]


class Runner:
    """Runs steps in a pool of threads; a cell's own one after another."""

    def __init__(self, budget: Budget, place: Place, tell: Callable[[Cell, str], object]) -> None:
        self.budget, self.place, self._tell = budget, place, tell
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = threading.Event()

    def run(self, todo: Sequence[tuple[Cell, Sequence[str]]], at_once: int) -> dict[Cell, str]:
        """Run the cells' steps and return why cells failed; the rest goes on without them.

        On Ctrl-C the running commands are asked to stop, too, and can be continued.
        """
        runs: dict[Cell, Future[str]] = {}
        with ThreadPoolExecutor(at_once) as threads:
            for cell, steps in todo:
                before = runs.get(cell.base) if cell.base else None
                runs[cell] = threads.submit(self._cell, cell, steps, before)
            try:
                told = {cell: run.result() for cell, run in runs.items()}
            except KeyboardInterrupt:
                self._stopped.set()
                for process in list(self._running):
                    process.send_signal(signal.SIGTERM)
                raise
        return {cell: reason for cell, reason in told.items() if reason}

    def _cell(self, cell: Cell, steps: Sequence[str], before: "Future[str] | None") -> str:
        if before is not None and (told := before.result()):
            # it began earlier, so that no thread waits for one without a thread
            self._tell(cell, "stopped" if self._stopped.is_set() else "failed")
            return f"its stage 1 is {cell.base.name if cell.base else ''}'s: {told}"
        try:
            if cell.base is not None and not self._stopped.is_set():
                self._inherit(cell, cell.base)
            for step in steps:
                if self._stopped.is_set():
                    return "stopped"
                self._tell(cell, step)
                if told := self._step(cell, step):
                    self._tell(cell, "stopped" if self._stopped.is_set() else "failed")
                    return f"{step}: {told}"
        except (OSError, UserError) as error:
            self._tell(cell, "failed")
            return str(error)
        self._tell(cell, "done")
        return ""

    def _inherit(self, cell: Cell, base: Cell) -> None:
        """Give a search the stage-1 studies of the one that it shares them with."""
        out, to = self.place.out, cell.folder(self.place.out)
        if winner(base, out, self.budget) is None:
            raise UserError(f"its stage 1 is {base.name}'s, which has no winner")
        for study in base.folder(out).glob("stage1_*"):
            if not (to / study.name / "best.json").is_file():
                part = to / f".{study.name}"
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(study, part, ignore=shutil.ignore_patterns("tune"))
                shutil.rmtree(to / study.name, ignore_errors=True)
                part.rename(to / study.name)

    def _step(self, cell: Cell, step: str) -> str:
        log = self.place.out / "report" / "logs" / f"{cell.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = command(cell, step, self.budget, self.place)
        with log.open("a") as file:
            print("$", *words, file=file, flush=True)
            begin = file.tell()
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(JOBS.parent), PARENT: str(os.getpid())},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )
        self._running.add(process)
        if self._stopped.is_set():
            process.send_signal(signal.SIGTERM)
        status = process.wait()
        self._running.discard(process)
        if not status:
            return ""
        said = [line for line in log.read_bytes()[begin:].decode(errors="replace").splitlines()]
        told = [line for line in said if line.startswith("error: ")] or ["it says nothing", *said]
        return f"{told[-1].removeprefix('error: ')[:300]} (exit {status}, {log})"
