"""The code and libraries that made a result, which every study and score records."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


def revision() -> str:
    """Return the git revision, with ``-dirty`` for changed files, or the version without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return f"v{version('darec')}"
    return found.stdout.strip()


@cache
def code_digest() -> str:
    """Return the SHA-256 of this package's Python files, which is equal on nodes with equal code.

    The first call in a process decides: a file that changes later does not change the digest.
    """
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that can change results."""
    names = ("numpy", "torch", "optuna", "ray")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


class Build(NamedTuple):
    """The code and libraries that a process runs."""

    code: str
    """`code_digest`."""
    versions: dict[str, str]


def this_build() -> Build:
    """Return what this process runs."""
    return Build(code_digest(), versions())


def difference(driver: Build, node: Build) -> str:
    """Return how a node differs from the driver; the text follows the node's name in a message.

    It is empty if they do not differ. Libraries must have equal releases. Python must have the same
    major and minor version.
    """
    for library, of_driver in driver.versions.items():
        of_node, parts = node.versions[library], 2 if library == "python" else None
        if of_node.split(".")[:parts] != of_driver.split(".")[:parts]:
            return f"has {library} {of_node}, and the driver has {of_driver}"
    return "" if node.code == driver.code else "runs other darec code than the driver"
