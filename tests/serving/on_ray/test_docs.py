"""The commands of docs/serving.md for one machine, in their order, as they stand."""

import json
import os
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest

from tests.serving.on_ray.running import ROOT, free_port, started

PAGE = (ROOT / "docs" / "serving.md").read_text()


def commands(title):
    """Return the commands of a section, each on one line and without its comment."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line]


@pytest.fixture
def environment(tmp_path):
    """The environment of a shell in which ``darec`` is that of this checkout."""
    (tmp_path / "bin").mkdir()
    darec = tmp_path / "bin" / "darec"
    darec.write_text(f'#!/bin/sh\nexec {sys.executable} -m darec "$@"\n')
    darec.chmod(0o755)
    path = f"{darec.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.ray
def test_the_way_from_two_csv_files(tmp_path, environment, tiny_pair):
    for name, ratings, items in (
        ("books", tiny_pair.source, tiny_pair.source_item_ids),
        ("music", tiny_pair.target, tiny_pair.target_item_ids),
    ):
        columns = {"user": tiny_pair.user_ids[ratings.users], "item": items[ratings.items]}
        table = pd.DataFrame({**columns, "rating": ratings.values})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    table[["user", "item"]].head(7).to_csv(tmp_path / "pairs.csv", index=False)
    for line in commands("From two CSV files"):
        command = shlex.split(line)
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=600)
    top = pd.read_parquet(tmp_path / "top.parquet")
    assert top["user"].nunique() > 100 and top["rank"].max() == 10
    found = pd.read_csv(tmp_path / "predictions.csv")
    assert len(found) == 7 and found["prediction"].between(1, 5).all()


@pytest.mark.ray
@pytest.mark.nightly
def test_the_walk_through_on_a_laptop(tmp_path, environment):
    port = free_port()

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
        assert [len(answer) for answer in answers] == [1, 2, 3, 2, 4]
        assert answers[1]["card"]["refit"] == "all"
        for line in second:
            run(line)
        service.wait_until_said("new model in")
        service.wait_until(lambda: json.loads(run(first[serve + 1])) != answers[0])
        assert json.loads(run(first[serve + 2]))["card"]["refit"] == "train"
