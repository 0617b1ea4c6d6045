"""Runs ``darec serve`` in a process of its own, as a user does."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIMIT_S = 300


class Running:
    """A service that runs."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    def said(self):
        """Return what the command has printed."""
        return self.log.read_text()

    def wait_until_said(self, words):
        self.wait_until(lambda: words in self.said())

    def wait_until(self, holds):
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said()
            time.sleep(0.1)

    def stop(self):
        """Stop it as a supervisor does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running(folder, log, *options):
    """Serve a model folder at a free port until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "darec", "serve", folder, "--port", str(port), *options]
    with started(command, port, log, ROOT, os.environ) as service:
        yield service


@contextmanager
def started(command, port, log, folder, environment):
    """Run a command that serves at a port until the block ends."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Running(process, port, log)
    try:
        service.wait_until_said("serving ")
        yield service
    finally:
        if process.poll() is None:
            service.stop()
