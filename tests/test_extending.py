"""The code of docs/extending.md runs as it stands, from a folder outside the checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.ray
def test_the_walk_through_runs_outside_the_checkout(tmp_path):
    page = (ROOT / "docs" / "extending.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    script = tmp_path / "walk_through.py"
    script.write_text("\n\n".join(blocks))
    ended = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "results" / "books_music-90" / "neighbours" / "best.json").is_file()
    lines = (tmp_path / "results" / "scores.jsonl").read_text().splitlines()
    assert len(lines) == 6  # two seeds, three cold policies
