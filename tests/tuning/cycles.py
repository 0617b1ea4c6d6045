"""Kills a tiny search at random moments and resumes it: ``python -m tests.tuning.cycles 200``.

After every search that came to its end: each trial is there once, and the winner is the one that an
undisturbed search has. Prints the figures of docs/reliability.md.
"""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDY = Path("toys_auto-synthetic-90", "i_autorec")
TRIALS, MOST_KILLS = 8, 8
COMMAND = [sys.executable, str(ROOT / "jobs" / "tune.py"), "--pair", "toys_auto", "--synthetic"]
COMMAND += ["--model", "i_autorec", "--fix", "hidden=50", "--trials", str(TRIALS)]
COMMAND += ["--max-epochs", "8", "--sampler", "random", "--scheduler", "none", "--resume"]
KEPT = ("config", "epoch", "valid_rmse", "trials")


@dataclass
class Figures:
    """What the cycles did."""

    kills: int = 0
    searches: int = 0
    forgotten: int = 0
    """Trials that ran in a killed driver and were unknown to its last snapshot."""
    problems: list[str] = field(default_factory=list)


def start(out, *options, log=None):
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    command = [*COMMAND, "--data", str(out / "data"), "--out", str(out), *options]
    with (log or out / "log").open("a") as said:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said)


def winner(out):
    best = json.loads((out / STUDY / "best.json").read_text())
    return {name: best[name] for name in KEPT}


def check(out, wanted, figures):
    folder = out / STUDY
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    ids = [row["trial_id"] for row in rows]
    if len(ids) != TRIALS or len(set(ids)) != TRIALS:
        figures.problems.append(f"{out}: {len(ids)} trials, {len(set(ids))} different")
    unended = [row["ended"] for row in rows if row["ended"] not in ("completed", "stalled")]
    if unended:
        figures.problems.append(f"{out}: trials ended {unended}")
    if winner(out) != wanted:
        figures.problems.append(f"{out}: winner {winner(out)}, undisturbed {wanted}")
    ran = {path.parent.name for path in (folder / "tune").glob("*/result.json")}
    figures.forgotten += len(ran - set(ids))
    figures.searches += 1


def run(cycles, seed=0):
    draw, figures = random.Random(seed), Figures()
    with tempfile.TemporaryDirectory(prefix="darec-cycles-") as scratch:
        undisturbed = Path(scratch) / "undisturbed"
        undisturbed.mkdir()
        begin = time.monotonic()
        assert start(undisturbed).wait() == 0, (undisturbed / "log").read_text()[-3000:]
        whole, wanted = time.monotonic() - begin, winner(undisturbed)
        while figures.kills < cycles:
            out = Path(scratch) / str(figures.searches)
            out.mkdir()
            kills = 0
            while True:
                driver = start(out)
                left = kills < MOST_KILLS and figures.kills < cycles
                try:
                    status = driver.wait(draw.uniform(0.2, 1.1) * whole if left else None)
                except subprocess.TimeoutExpired:
                    driver.send_signal(signal.SIGKILL)
                    driver.wait()
                    kills, figures.kills = kills + 1, figures.kills + 1
                    continue
                if status:
                    said = (out / "log").read_text()[-2000:]
                    figures.problems.append(f"{out}: exit {status}: {said}")
                    figures.searches += 1
                else:
                    check(out, wanted, figures)
                break
            print(figures, flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(bool(run(int(sys.argv[1])).problems))
