"""Halts a study that cannot continue; it can be resumed once the cause is removed."""

import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune.experiment.trial import Trial

from darec.reporter import LOGGER
from darec.tuning.cluster.preflight import LEAST_FREE, has_room
from darec.tuning.cluster.shares import Slots
from darec.tuning.durability.heartbeat import STOP
from darec.tuning.failures import error_of, last_error_of
from darec.tuning.private import snapshot_place
from darec.tuning.trial.trainable import OtherCodeError

IDLE_S = 1800.0
"""A study is halted if all of its trials have been waiting for this many seconds, unless other work
on the cluster has what they need."""
LOOK_S = 1.0
"""Seconds between two looks for the file `STOP`."""
NO_SPACE = "No space left"
"""The words of the operating system for a full disk."""


def stop_asked(folder: Path) -> bool:
    """Return whether the search in a folder was asked to stop."""
    return (folder / STOP).exists()


def forget_stop(folder: Path) -> None:
    """Forget that the search in a folder was asked to stop."""
    (folder / STOP).unlink(missing_ok=True)


class StudyHalted(Exception):
    """Ends Tune's run where a signal cannot."""


class Halt(tune.Callback):
    """Ends Tune's run early and remembers the reason.

    It sends SIGINT, upon which Tune writes a last snapshot and returns.
    """

    def __init__(self) -> None:
        self.reason = ""
        """Why the study was halted; empty while it may go on."""
        self.stopped = False
        """Whether the search was asked to stop, which is an interruption and no fault."""

    def setup(self, **info: Any) -> None:
        """Begin a run. The cause of an earlier halt may be gone."""
        self.reason, self.stopped = "", False

    def because(self, reason: str) -> None:
        """End the run; a second reason changes nothing.

        Tune listens to signals in the main thread only. In another thread raises `StudyHalted`.
        """
        if self.reason:
            return
        self.reason = reason
        self.interrupt(reason)

    def interrupt(self, reason: str) -> None:
        """End the run as Ctrl-C does, or in another thread raise `StudyHalted`."""
        if threading.current_thread() is not threading.main_thread():
            self.reason = reason
            raise StudyHalted(reason)
        signal.raise_signal(signal.SIGINT)


class IdleWatch(tune.Callback):
    """Halts a study of which no trial has been able to run for `IDLE_S`.

    If a node is large enough but busy with other work, such as another search, the study goes on
    waiting.
    """

    def __init__(self, halt: Halt, slots: Slots) -> None:
        self._halt, self.slots, self._busy_at = halt, slots, time.monotonic()

    def setup(self, **info: Any) -> None:
        """Begin a run."""
        self._busy_at = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Check whether trials wait while none runs."""
        waiting = any(trial.status == Trial.PENDING for trial in trials)
        running = any(trial.status == Trial.RUNNING for trial in trials)
        if running or not waiting:
            self._busy_at = time.monotonic()
        elif time.monotonic() - self._busy_at > IDLE_S:
            slots = self.slots
            if has_room({"CPU": slots.cpus, "GPU": slots.gpus, "memory": slots.memory}):
                LOGGER.warning("no trial could run for %g s: other work has the cluster", IDLE_S)
                self._busy_at = time.monotonic()
                return
            reason = f"no trial could run for {IDLE_S:g} s: the cluster has no room for a trial"
            self._halt.because(reason)


class StopWatch(tune.Callback):
    """Ends a run as Ctrl-C does when the file `STOP` is put into the search's folder."""

    def __init__(self, halt: Halt, folder: Path) -> None:
        self._halt, self.folder = halt, folder
        self._looked_at = -LOOK_S

    def setup(self, **info: Any) -> None:
        """Begin a run."""
        self._looked_at = -LOOK_S

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look for the file once a second."""
        if self._halt.stopped or time.monotonic() - self._looked_at < LOOK_S:
            return
        self._looked_at = time.monotonic()
        if stop_asked(self.folder):
            self._halt.stopped = True
            self._halt.interrupt("it was asked to stop")


class CodeWatch(tune.Callback):
    """Halts a study when a node runs other code or libraries than the driver."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at an error after which Tune would start the trial again."""
        self._look(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at an error after which Tune gives the trial up."""
        self._look(trial)

    def _look(self, trial: Any) -> None:
        _, named, reason = last_error_of(trial).partition(f"{OtherCodeError.__name__}: ")
        if named:
            self._halt.because(reason)


class DiskWatch(tune.Callback):
    """Halts a study whose disk is full: every attempt of every trial would fail, and slowly."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at an error after which Tune would start the trial again."""
        _, files, folder = snapshot_place(trial)
        full = isinstance(files, LocalFileSystem) and shutil.disk_usage(folder).free < LEAST_FREE
        if full and NO_SPACE in error_of(trial):
            self._halt.because(f"{NO_SPACE} on device")
