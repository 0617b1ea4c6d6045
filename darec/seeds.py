"""Named random streams from one root seed. They do not depend on the order of their use."""

import hashlib

import numpy as np


def derive(root: int, *names: str | int) -> int:
    """Return the 63-bit seed of a named stream, e.g. ``derive(0, "split", "target")``."""
    text = "/".join(str(part) for part in (root, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(root: int, *names: str | int) -> np.random.Generator:
    """Return a new NumPy generator at the start of a named stream."""
    return np.random.default_rng(derive(root, *names))
