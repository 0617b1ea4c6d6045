"""Runs the missing steps of several cells side by side, each step in a process of its own."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from darec.errors import UserError
from darec.files import open_to_append
from darec.processes import PARENT
from darec.report.matrix.cells import Budget, Cell
from darec.report.matrix.results import Step, Todo, find_winner
from darec.report.running.step import Place, StepRequest

COMMAND = (sys.executable, "-m", "darec", "step")
"""Reads a `StepRequest` from its standard input and runs it."""
IMPORTS = str(Path(__file__).parents[3])
"""The folder that holds the package, which need not be installed."""

Status = Step | Literal["done", "failed", "stopped"]
"""The step of a cell that begins, or how the cell ended."""


class Runner:
    """Runs cells in a pool of threads; the steps of one cell follow each other."""

    def __init__(
        self, budget: Budget, place: Place, on_status: Callable[[Cell, Status], object]
    ) -> None:
        self.budget, self.place, self._on_status = budget, place, on_status
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = threading.Event()

    def run(self, todo: Todo, at_once: int) -> dict[Cell, str]:
        """Run the cells' steps and return why cells failed; a failure stops no other cell.

        On Ctrl-C the running steps get SIGTERM, so that they can be continued later.
        """
        runs: dict[Cell, Future[str]] = {}
        with ThreadPoolExecutor(at_once) as threads:
            for cell, steps in todo:
                base_run = runs.get(cell.base) if cell.base else None
                runs[cell] = threads.submit(self._run_cell, cell, steps, base_run)
            try:
                reasons = {cell: run.result() for cell, run in runs.items()}
            except KeyboardInterrupt:
                self._stopped.set()
                for process in list(self._processes):
                    process.send_signal(signal.SIGTERM)
                raise
        return {cell: reason for cell, reason in reasons.items() if reason}

    def _run_cell(self, cell: Cell, steps: Sequence[Step], base_run: "Future[str] | None") -> str:
        """Run a cell's steps; return why it failed, or nothing."""
        try:
            if cell.base is not None:
                # The base was submitted first, so a thread that waits for it never blocks it.
                if base_run is not None and (reason := base_run.result()):
                    raise UserError(f"its stage 1 is that of {cell.base.name}: {reason}")
                if not self._stopped.is_set():
                    self._copy_stage1(cell, cell.base)
            for step in steps:
                if self._stopped.is_set():
                    return "stopped"
                self._on_status(cell, step)
                if reason := self._run_step(cell, step):
                    raise UserError(f"{step}: {reason}")
        except (OSError, UserError) as error:
            self._on_status(cell, "stopped" if self._stopped.is_set() else "failed")
            return str(error)
        self._on_status(cell, "done")
        return ""

    def _copy_stage1(self, cell: Cell, base: Cell) -> None:
        """Copy the stage-1 studies of the search that has the same stage 1."""
        out, to = self.place.out, cell.folder(self.place.out)
        if find_winner(base, out, self.budget) is None:
            raise UserError(f"its stage 1 is that of {base.name}, which has no winner")
        for study in base.folder(out).glob("stage1_*"):
            if not (to / study.name / "best.json").is_file():
                part = to / f".{study.name}"
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(study, part, ignore=shutil.ignore_patterns("tune"))
                shutil.rmtree(to / study.name, ignore_errors=True)
                part.rename(to / study.name)

    def _run_step(self, cell: Cell, step: Step) -> str:
        """Run a step and append what it prints to the cell's log; return its error, or nothing."""
        log = self.place.out / "report" / "logs" / f"{cell.name}.log"
        request = StepRequest(step, cell, self.budget, self.place).to_json()
        search_path = os.pathsep.join([IMPORTS, *filter(None, [os.environ.get("PYTHONPATH")])])
        with open_to_append(log) as file:
            file.write(f"$ echo {shlex.quote(request)} | {shlex.join(COMMAND)}\n".encode())
            file.flush()
            begin = file.tell()
            process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": search_path, PARENT: str(os.getpid())},
                start_new_session=True,  # Ctrl-C reaches only this process, which passes it on
            )
        self._processes.add(process)
        if self._stopped.is_set():
            process.send_signal(signal.SIGTERM)
        process.communicate(request.encode())
        self._processes.discard(process)
        if not process.returncode:
            return ""
        lines = log.read_bytes()[begin:].decode(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        reason = [*(lines or ["it printed nothing"]), *errors][-1].removeprefix("error: ")
        return f"{reason[:300]} (exit {process.returncode}, {log})"
