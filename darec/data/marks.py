"""What a file says of each rating besides its value: when it was given, and in which part it is.

Models never see it. Shapes: N ratings.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRAIN, VALID, TEST = 0, 1, 2
PARTS = ("train", "valid", "test")
"""The parts of a split; a rating's part is a position here."""


@dataclass(frozen=True, eq=False)
class Marks:
    """The times and parts of one domain's ratings, in their order.

    Raises ``ValueError`` for a time that is infinite, or for an unknown part.
    """

    times: npt.NDArray[np.float64] | None = None
    """f64[N], seconds since 1970 or smaller numbers in their order, NaN where a rating has none.
    None: the files have no times."""
    parts: npt.NDArray[np.int8] | None = None
    """i8[N], positions in `PARTS`; None: no split file was given."""

    def __post_init__(self) -> None:
        if self.times is not None and np.isinf(self.times).any():
            raise ValueError("times must be finite, or NaN where a rating has none")
        if self.parts is not None and not np.isin(self.parts, (TRAIN, VALID, TEST)).all():
            raise ValueError("parts must be 0 (train), 1 (valid) or 2 (test)")

    @property
    def columns(self) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int8]]:
        """The arrays that there are, by name."""
        found = {"times": self.times, "parts": self.parts}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def lack_of_times(self) -> str:
        """How many ratings have no time, in words; empty if each rating has one."""
        if self.times is None:
            return "no rating has one"
        n_lacking = int(np.isnan(self.times).sum())
        return f"{n_lacking} of {len(self.times)} ratings have none" if n_lacking else ""

    @property
    def digest(self) -> str:
        """SHA-256 of the arrays; nothing if there are none."""
        if not self.columns:
            return ""
        sha = hashlib.sha256()
        for name, array in self.columns.items():
            sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


UNMARKED = Marks()
"""The marks of ratings of which nothing more is known."""
