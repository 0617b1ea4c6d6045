"""Numba's cache of machine code, where it cannot be kept on the disk."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from darec.core import lazy_adam_loops, numba_kernels

USE = """
import resource, sys
if "full" in sys.argv:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
import numpy as np
from darec.core import numba_kernels
out, zero, ones = np.empty(1), np.zeros(1, int), np.ones((1, 2))
numba_kernels.sampled_dots(zero, zero, ones, ones, out)
assert out == [2.0]
"""


def use(folder, *arguments):
    only = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}  # not the code's folder
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **only}
    command = [sys.executable, "-W", "error:::darec", "-c", USE, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_loops_of_other_files_are_compiled_anew_when_the_shared_ones_change():
    _, shared = lazy_adam_loops.step_column_sums._cache._cache_file._source_stamp
    assert shared == sha256(Path(numba_kernels.__file__).read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cannot be made", "full", "damaged"])
def test_a_cache_that_cannot_be_kept_neither_fails_nor_speaks(tmp_path, kind):
    folder = "/proc/nowhere" if kind == "cannot be made" else tmp_path
    if kind == "damaged":
        assert use(folder).returncode == 0
        kept = list(tmp_path.rglob("*.nb?"))
        assert kept
        for path in kept:
            path.write_bytes(path.read_bytes()[:20])
    ended = use(folder, *(["full"] if kind == "full" else []))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
