"""Undoes what Ray Tune and Optuna do to a process besides their work: handlers, messages."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from darec.reporter import LOGGER


@contextmanager
def signal_handlers_kept() -> Iterator[None]:
    """Put back the handlers of SIGINT and SIGUSR1 that ``Tuner.fit`` replaces and leaves behind."""
    numbers = (signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep Optuna and Tune from printing lines and tracebacks, unless ``-v`` asks for them.

    Optuna has a line about every study and trial. Tune has the traceback of every failed attempt
    and of every error that it raises as well.
    """
    tune_logger = logging.getLogger("ray.tune")
    before = optuna.logging.get_verbosity(), tune_logger.level
    if not LOGGER.isEnabledFor(logging.DEBUG):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        tune_logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before[0])
        tune_logger.setLevel(before[1])
