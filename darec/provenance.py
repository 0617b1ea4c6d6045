"""The code and libraries that made a result, which every study and score records."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import NamedTuple

import darec

LIBRARIES = ("numba", "numpy", "optuna", "ray", "scipy", "torch")
"""Libraries that can change results."""
OPTIONAL = ("myfm", "scikit-surprise")
"""Libraries that compute some baselines, where they are installed."""
OWN = "darec/provenance.py"
"""This file's path from the top of a repository of darec."""


@cache
def revision() -> str:
    """Return the git revision, with ``-dirty`` for changed files, or the version without git.

    Only a repository of darec itself counts. A copy of the package inside of another repository
    has no revision. The first call in a process decides.
    """
    root = Path(__file__).resolve().parents[1]
    try:
        tracked = _git(root, "ls-files", "--full-name", "--", OWN)
        found = _git(root, "describe", "--always", "--dirty") if tracked == OWN else ""
    except (OSError, subprocess.SubprocessError):
        found = ""
    return found or f"v{darec.__version__}"


def _git(folder: Path, *words: str) -> str:
    """Return what git says in a folder, whatever repository the environment names."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    return subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env=environment,
    ).stdout.strip()


@cache
def code_digest() -> str:
    """Return the SHA-256 of this package's Python files, which is equal on nodes with equal code.

    The first call in a process decides: a file that changes later does not change the digest.
    """
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that can change results."""
    installed = [name for name in OPTIONAL if list(distributions(name=name))]
    names = sorted([*LIBRARIES, *installed])
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def other_releases(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Return the libraries that both have, in different releases.

    Python must have the same major and minor version. A library that only one of them has is none:
    what needs it cannot run without it.
    """
    parts = {"python": 2}
    return [
        name
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name].split(".")[: parts.get(name)] != theirs[name].split(".")[: parts.get(name)]
    ]


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

    It is empty if they do not differ. Libraries must have equal releases (`other_releases`).
    """
    for library in other_releases(driver.versions, node.versions):
        of_node, of_driver = node.versions[library], driver.versions[library]
        return f"has {library} {of_node}, and the driver has {of_driver}"
    return "" if node.code == driver.code else "runs other darec code than the driver"
