"""The processes that a search of several models leaves behind it while the next one runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEVERAL = """
import os, subprocess, sys, time
from darec.api import search_all as several
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from darec.reporter import SILENT

def caches():
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    own = {str(os.getpid())}
    own |= {pid for pid, parent, _ in rows if parent in own}  # the raylet
    return sum("CacheStore" in name and parent in own for _, parent, name in rows)

def counted(*arguments, one=several.search, **options):
    result, deadline = one(*arguments, **options), time.monotonic() + 5
    while (left := caches()) and time.monotonic() < deadline:
        time.sleep(0.1)
    print("LEFT", left)
    return result

several.search = counted
pair = planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))
several.search_all(["mean", "bias"], pair, reporter=SILENT, trials=1, out=sys.argv[1])
"""


@pytest.mark.ray
def test_no_cache_of_first_stages_outlives_its_model(tmp_path):
    command = [sys.executable, "-c", SEVERAL, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert [line for line in ended.stdout.splitlines() if line.startswith("LEFT")] == ["LEFT 0"] * 2
