"""Every exception that ends a command is one line, and loses nothing."""

import pickle
import tempfile
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import typer
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import TuneError
from typer.testing import CliRunner

from darec.cli.command import command
from darec.cli.errors import line_of
from darec.errors import UserError


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """Run a command that raises an error; scratch files are kept in ``tmp_path``."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(error, *options):
        def work(reporter):
            """Raise the error."""
            raise error

        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(command(work))
        return CliRunner().invoke(app, options)

    return run


def task_error(cause):
    return RayTaskError("work", "Traceback ...\nlong\n", cause).as_instanceof_cause()


KNOWN = {
    "user": (UserError("--x: must be 1,\nbut got 2"), "error: --x: must be 1, but got 2\n"),
    "disk": (OSError(28, "No space left on device"), "No space left on device"),
    "user, in a task": (task_error(UserError("--x: must be 1")), "error: --x: must be 1\n"),
    "memory": (MemoryError(), "the memory is full"),
    "GPU": (torch.OutOfMemoryError("CUDA out of memory"), "--gpus-per-trial"),
    "actor": (RayActorError(), "Ray: RayActorError: "),
    "Tune": (
        TuneError("lost\nits trials"),
        "Ray: TuneError: lost its trials; what was finished",
    ),
    "pyarrow": (pa.ArrowInvalid("bad file"), "pyarrow: ArrowInvalid: bad file"),
    "zip": (zipfile.BadZipFile("no zip"), "damaged or cut short: BadZipFile: no zip"),
    "pickle": (pickle.UnpicklingError("cut"), "damaged or cut short: UnpicklingError: cut"),
    "zlib": (zlib.error("bits"), "damaged or cut short: error: bits"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_error_is_one_line(name, failing, tmp_path):
    error, words = KNOWN[name]
    ended = failing(error)
    assert ended.exit_code == 1 and ended.stdout == ""
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
    assert words in ended.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("in_task", [False, True])
def test_an_unknown_error_leaves_its_traceback_in_a_file_that_the_line_names(
    failing, tmp_path, in_task
):
    ended = failing(task_error(KeyError("x")) if in_task else KeyError("x"))
    (log,) = tmp_path.iterdir()
    assert ended.exit_code == 1 and ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: unexpected KeyError: 'x'; ")
    assert f"the traceback is in {log}; please report it" in ended.stderr
    assert "KeyError: 'x'" in log.read_text() and log.stat().st_mode & 0o077 == 0


def test_a_missing_file_that_nobody_expected_leaves_its_traceback_too(failing):
    ended = failing(FileNotFoundError(2, "No such file or directory", "x"))
    assert ended.stderr.startswith("error: unexpected FileNotFoundError: [Errno 2] No such file")


def test_only_a_command_that_has_resume_names_it():
    assert "--resume" not in line_of(MemoryError()) and "--resume" in line_of(MemoryError(), True)


def test_verbose_prints_the_traceback_too(failing):
    ended = failing(KeyError("x"), "-v")
    assert "Traceback (most recent call last)" in ended.stderr and "in work" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("error: unexpected KeyError")


def test_a_traceback_that_cannot_be_written_is_said(failing, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    ended = failing(KeyError("x"))
    assert ended.exit_code == 1 and ended.stderr.count("\n") == 1
    assert "could not be kept" in ended.stderr and Path("/proc/nowhere").exists() is False


@pytest.mark.parametrize(("error", "code"), [(typer.Exit(3), 3), (typer.BadParameter("no"), 2)])
def test_typers_own_exceptions_stay_its_own(error, code, failing):
    assert failing(error).exit_code == code
