import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darec import provenance
from darec.provenance import LIBRARIES, Build, difference, other_releases, versions

HERE = Path(provenance.__file__)


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def copy(tmp_path):
    """A copy of this package's file at the top of a repository that does not know it."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "another project")
    copied = tmp_path / "darec" / "provenance.py"
    copied.parent.mkdir()
    shutil.copy(HERE, copied)
    return copied


def revision_of(path):
    return runpy.run_path(str(path))["revision"]()


def test_a_repository_of_darec_gives_its_commit(copy, tmp_path):
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "darec itself")
    assert revision_of(copy) == git(tmp_path, "rev-parse", "--short", "HEAD")
    copy.write_text(copy.read_text() + "\n")
    assert revision_of(copy).endswith("-dirty")


@pytest.mark.parametrize("inner", [".", "vendor"])
def test_a_copy_inside_another_repository_does_not_give_its_commit(copy, tmp_path, inner):
    if inner == "vendor":  # tracked, but not at the top
        folder = tmp_path / inner
        folder.mkdir()
        copy = Path(shutil.move(copy.parent, folder)) / copy.name
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", "with a copy")
    assert revision_of(copy) == "v0.1.0"


def test_a_repository_of_the_environment_is_not_asked(copy, tmp_path, monkeypatch):
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "darec itself")
    other = tmp_path / "other" / "darec" / "provenance.py"
    other.parent.mkdir(parents=True)
    shutil.copy(HERE, other)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.parents[1]))
    assert revision_of(other) == "v0.1.0"


def test_without_git_or_an_installed_package_the_version_is_reported(copy, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert revision_of(copy) == "v0.1.0"


def test_every_library_that_computes_numbers_has_a_version():
    """Numba compiles the kernels, and SciPy has the sparse matrices and the distributions."""
    assert {"numba", "scipy", "numpy", "torch"} <= {*LIBRARIES} <= versions().keys()
    code = "import json, darec.provenance as p; print(json.dumps(p.versions()))"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert json.loads(said.stdout) == versions()


def test_a_node_with_another_release_of_a_library_differs():
    here = Build("a", {"python": "3.11.7", "numba": "0.68.1", "scipy": "1.17.1"})
    other = here._replace(versions={**here.versions, "scipy": "1.16.0"})
    assert difference(here, other) == "has scipy 1.16.0, and the driver has 1.17.1"
    patched = here._replace(versions={**here.versions, "python": "3.11.9"})
    assert difference(here, patched) == ""
    assert other_releases({"python": "3.11.7"}, {"python": "3.12.7"}) == ["python"]


def test_a_library_that_only_the_driver_has_is_no_difference():
    """A trial that needs it says so; every other trial may run."""
    here = Build("a", {"python": "3.11.7", "myfm": "0.4.0"})
    node = Build("a", {"python": "3.11.7"})
    assert difference(here, node) == difference(node, here) == ""
    assert difference(here, node._replace(code="b")) == "runs other darec code than the driver"
