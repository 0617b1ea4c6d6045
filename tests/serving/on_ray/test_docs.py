"""The commands of docs/serving.md for one machine, in their order, as they stand."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.serving.on_ray.running import ROOT, free_port, started

PAGE = (ROOT / "docs" / "serving.md").read_text()


def commands(title):
    """Return the commands of a section, each on one line and without its comment."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line]


@pytest.mark.ray
def test_the_walk_through_on_a_laptop(tmp_path):
    port = free_port()
    (tmp_path / "bin").mkdir()
    darec = tmp_path / "bin" / "darec"
    darec.write_text(f'#!/bin/sh\nexec {sys.executable} -m darec "$@"\n')
    darec.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{darec.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def run(line):
        return subprocess.run(
            line.replace(":8000/", f":{port}/"),
            shell=True,
            cwd=tmp_path,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=600,
        ).stdout

    first, second = commands("On a laptop"), commands("A new model, without losing a request")
    serve = next(k for k, line in enumerate(first) if line.startswith("darec serve"))
    for line in first[:serve]:
        run(line)
    command = [*shlex.split(first[serve]), "--port", str(port)]
    with started(command, port, tmp_path / "log", tmp_path, environment) as service:
        answers = [json.loads(run(line)) for line in first[serve + 1 :]]
        assert all("detail" not in answer for answer in answers), answers
        assert [len(answer) for answer in answers] == [1, 2, 2, 2, 3]
        assert answers[1]["card"]["refit"] == "train"
        for line in second:
            run(line)
        service.wait_until_said("new model in")
        service.wait_until(lambda: json.loads(run(first[serve + 1])) != answers[0])
        assert json.loads(run(first[serve + 2]))["card"]["refit"] == "all"
