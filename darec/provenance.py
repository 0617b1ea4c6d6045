"""Which code and libraries made a result: recorded in every study and score."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def revision() -> str:
    """Return the git revision of this code, ``-dirty`` where it was changed, or the version."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return f"v{version('darec')}"
    return found.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide numbers."""
    names = ("numpy", "torch", "optuna", "ray")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
