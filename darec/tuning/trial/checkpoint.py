"""A trial's checkpoint: its state, and the checksum that reveals damage."""

from pathlib import Path
from typing import Any

import torch

from darec.files import digest_of

STATE, SUM = "state.pt", "state.sha256"


class DamagedError(Exception):
    """A checkpoint is not what was written: cut short, altered, or without its checksum."""


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Write a state of tensors and plain values to ``state.pt``, and its SHA-256 beside it."""
    torch.save(state, folder / STATE)
    (folder / SUM).write_text(digest_of(folder / STATE))


def load_state(folder: Path) -> dict[str, Any]:
    """Read a state onto the CPU without running code from it; raises `DamagedError`."""
    try:
        intact = (folder / SUM).read_bytes() == digest_of(folder / STATE).encode()
    except FileNotFoundError as error:
        raise DamagedError(f"{error.filename} is missing") from error
    if not intact:
        raise DamagedError(f"{folder / STATE} is damaged: its SHA-256 is not the one in {SUM}")
    state: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    return state
