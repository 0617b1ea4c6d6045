"""Plain result files: written to a temporary name and renamed, so that a crash loses nothing."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Let ``save`` write a temporary file in the same folder, then rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        save(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON in one rename."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write(path, lambda temporary: temporary.write_text(text))
