"""What the text of a trial's failure says: why it failed, and whether the trial is to blame.

The words are those of Ray 2.52.0 to 2.60.0 and torch 2.13. `tests/tuning/test_failures.py` looks
for them in the installed releases.
"""

import re
from typing import Any

from darec.tuning.private import failures_of

GPU_OUT_OF_MEMORY = re.compile(
    "CUDA.*out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUBLAS_STATUS_NOT_INITIALIZED"
)
"""Error texts of torch. The last is how cuBLAS says that it has no room for its own handle. Ray has
an ``OutOfMemoryError``, too, for a node's main memory."""
NODE_LOST = re.compile("its node has died|actor is temporarily unavailable")
"""Error texts of Ray. The second appears while a node is silent but not yet given up."""
FAILURE = re.compile(r"^Failure # \d+.*\n", re.MULTILINE)
"""Tune begins each failure's text in a trial's error file with such a line."""
BEFORE_REASON = re.compile(r'^(?:  File ".*(?:\n    .*)*|\t.*)\n', re.MULTILINE)
"""A frame of a stack, or one of the attributes that Ray names of a lost actor. The next line says
why. It may be followed by advice."""


def error_of(trial: Any) -> str:
    """Return the whole text of a trial's last failure; empty if none was recorded."""
    return FAILURE.split(failures_of(trial))[-1]


def last_error_of(trial: Any) -> str:
    """Return at most 160 characters of the line of a trial's last failure that says why."""
    parts = filter(None, map(str.strip, BEFORE_REASON.split(error_of(trial))))
    *_, said = ["no reason was recorded", *parts]
    return said.splitlines()[0][:160]
