"""The wheel: what is in it, and that it works in an environment that has nothing else."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from darec.models import MODELS
from search_spaces import SPACES

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command, cwd=None):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [*map(str, command)]
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the files that git knows, so that left-over builds cannot get in."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in tracked.stdout.decode().strip("\0").split("\0"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, source)
    if built.returncode and "Could not find a version" in built.stderr:
        pytest.skip("pip cannot fetch setuptools here")
    assert built.returncode == 0, built.stderr[-2000:]
    (path,) = folder.glob("darec-*.whl")
    return path


def test_the_wheel_has_the_package_the_spaces_and_cluster_yaml_and_no_jobs(wheel):
    names = ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {"darec", "search_spaces"} <= tops and not {"jobs", "tests", "build"} & tops
    assert any(name.endswith("share/darec/cluster.yaml") for name in names)
    assert "darec/page/page.html.j2" in names


@pytest.fixture(scope="module")
def empty(wheel, tmp_path_factory):
    """The folder of programs of an environment into which only the wheel was installed."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    # Python compiles what the test imports; to compile all of torch and Ray takes much longer
    installed = run(programs / "pip", "install", "-q", "--no-compile", wheel)
    if installed.returncode and "No matching distribution" in installed.stderr:
        pytest.skip("pip cannot fetch the dependencies here")
    assert installed.returncode == 0, installed.stderr[-2000:]
    return programs


def test_the_smoke_test_runs_from_the_wheel_alone(empty, tmp_path):
    ended = run(empty / "darec", "tune", "--pair", "toys_auto", "--smoke-test", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Winner: trial" in ended.stdout and "next:  darec evaluate" in ended.stdout
    options = ["--pair", "toys_auto", "--synthetic", "--seeds", "1"]
    ended = run(empty / "darec", "evaluate", *options, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    hosts = ["--hosts", "a,b", "--user", "ada", "--out", "/nfs/results"]
    ended = run(empty / "darec", "own-cluster", *hosts, cwd=tmp_path)
    assert ended.returncode == 0 and (tmp_path / "own-cluster.yaml").is_file(), ended.stderr
    code = "import darec, search_spaces; print(len(darec.models()), len(search_spaces.SPACES))"
    assert (
        run(empty / "python", "-c", code, cwd=tmp_path).stdout == f"{len(MODELS)} {len(SPACES)}\n"
    )
