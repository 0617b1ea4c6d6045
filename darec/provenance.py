"""Which code and libraries made a result: recorded in every study and score."""

import hashlib
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


def code_digest() -> str:
    """Return the SHA-256 of this package's Python files: equal where nodes run the same code."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide numbers."""
    names = ("numpy", "torch", "optuna", "ray")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
