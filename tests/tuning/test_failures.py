"""The words by which a failure is judged, against the installed Ray and torch."""

import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import torch

from darec.tuning import failures
from tests.tuning.assumptions import relied_on_by


def contains(folder, text):
    """Return whether one of the files below a folder holds a text."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m:
                if m.find(text.encode()) >= 0:
                    return True
    return False


def test_ray_still_says_that_a_node_is_lost_in_these_words():
    installed = Path(ray.__file__).parent
    with relied_on_by("NODE_LOST", failures):
        died, silent = "its node has died", "actor is temporarily unavailable"
        assert failures.NODE_LOST.pattern == f"{died}|{silent}"
        assert contains(installed / "core", died)
        assert any(silent.encode() in path.read_bytes() for path in installed.glob("_raylet*"))


DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: Tiny
\tip: 10.0.0.1
The actor died because its node has died.
The actor never ran - it was cancelled before it started running.
"""
FULL = """ray::Tiny.train() (pid=1, ip=10.0.0.1)
  File "trainable.py", line 9, in step
    multiply()
    ^^^^^^^^^^
torch.AcceleratorError: CUDA error: out of memory
CUDA kernel errors might be asynchronously reported at some other API call.
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.

"""


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (DIED, "The actor died because its node has died."),
        (DIED + "\tthe actor's node was terminated unexpectedly\n", "The actor died because its n"),
        (FULL, "torch.AcceleratorError: CUDA error: out of memory"),
        (
            "Task was killed: little memory.\nRefer to the documentation.\n",
            "Task was killed: little",
        ),
        ("", "no reason was recorded"),
    ],
)
def test_a_failure_is_reported_by_the_line_that_says_why_and_not_by_advice(told, reason, tmp_path):
    earlier = f"Failure # 1 (occurred at noon)\n{FULL}" if told is DIED else ""
    (tmp_path / "error.txt").write_text(f"{earlier}Failure # 2 (occurred at one)\n{told}")
    trial = SimpleNamespace(error_file=str(tmp_path / "error.txt"))
    assert failures.last_error_of(trial).startswith(reason)
    assert bool(failures.GPU_OUT_OF_MEMORY.search(failures.error_of(trial))) == (told is FULL)


@pytest.mark.skipif(not torch.version.cuda, reason="this torch is built without CUDA")
def test_torch_still_says_that_a_gpu_is_full_in_these_words():
    libraries = Path(torch.__file__).parent / "lib"
    with relied_on_by("GPU_OUT_OF_MEMORY", failures):
        out_of_memory, *of_cublas = failures.GPU_OUT_OF_MEMORY.pattern.split("|")
        assert out_of_memory == "CUDA.*out of memory"
        assert any(
            b"CUDA out of memory" in path.read_bytes() for path in libraries.glob("libc10_cuda*")
        )
        assert all(contains(libraries, name) for name in of_cublas)
