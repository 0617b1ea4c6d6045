"""Which code and libraries made a result: recorded in every study and score."""

import hashlib
import platform
import subprocess
from functools import cache
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


@cache
def code_digest() -> str:
    """Return the SHA-256 of this package's Python files, as they were at this process's first call.

    Equal where nodes run the same code.
    """
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide numbers."""
    names = ("numpy", "torch", "optuna", "ray")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def difference(code: str, libraries: dict[str, str]) -> str:
    """Return what another process's code and `versions` have that this one's have not, or ""."""
    for library, here in versions().items():
        there, same = libraries[library], 2 if library == "python" else None  # 3.11.7 is 3.11.9
        if there.split(".")[:same] != here.split(".")[:same]:
            return f"{library} is {there} there and {here} here"
    return "" if code == code_digest() else "its darec is another"
