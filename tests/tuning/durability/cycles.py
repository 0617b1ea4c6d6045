"""Kills a tiny search at random moments and resumes it.

Run it with ``python -m tests.tuning.durability.cycles 200``.

Two searches take turns: three times a single study with random sampling, whose trials do not depend
on their order, then the paper's three studies with TPE and ASHA. When a search has come to its end,
every trial must be there once and must have ended. The single study must also have the winner of an
undisturbed search. Prints the figures of docs/reliability.md.
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

ROOT = Path(__file__).parents[3]
STUDY = Path("toys_auto-synthetic-90", "i_autorec")
TRIALS, MOST_KILLS = 8, 8
COMMAND = [sys.executable, str(ROOT / "jobs" / "tune.py"), "--pair", "toys_auto", "--synthetic"]
COMMAND += ["--trials", str(TRIALS), "--max-epochs", "8", "--resume"]
ONE_STUDY = "--model i_autorec --fix hidden=50 --sampler random --scheduler none".split()
THREE_STUDIES = "--model i_darec --trials 4 --stage1-trials 4 --fix autorec/hidden=50".split()
KEPT = ("config", "epoch", "valid_rmse", "trials")


@dataclass
class Figures:
    """What happened in the cycles."""

    kills: int = 0
    searches: int = 0
    forgotten: int = 0
    """Trials that a killed driver had started and its last snapshot did not know."""
    problems: list[str] = field(default_factory=list)


def start(out, *options, search=ONE_STUDY, log=None):
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    where = ["--data", str(out / "data"), "--out", str(out)]
    with (log or out / "log").open("a") as said:
        return subprocess.Popen(
            [*COMMAND, *search, *where, *options], env=environment, stdout=said, stderr=said
        )


def winner(out):
    best = json.loads((out / STUDY / "best.json").read_text())
    return {name: best[name] for name in KEPT}


def check(out, search, wanted, figures):
    tables = list(out.rglob("trials.csv"))
    n_studies, n_trials = (1, TRIALS) if search is ONE_STUDY else (3, 4)
    if len(tables) != n_studies:
        figures.problems.append(f"{out}: {len(tables)} studies")
    for table in tables:
        with table.open() as file:
            rows = list(csv.DictReader(file))
        ids = {row["trial_id"] for row in rows}
        if not len(rows) == len(ids) == n_trials:
            figures.problems.append(f"{table}: {len(rows)} trials, {len(ids)} different")
        unended = [row["ended"] for row in rows if row["ended"] not in ("completed", "stalled")]
        if unended:
            figures.problems.append(f"{table}: trials ended {unended}")
        ran = {path.parent.name for path in table.parent.glob("tune/*/result.json")}
        figures.forgotten += len(ran - ids)
    if search is ONE_STUDY and winner(out) != wanted:
        figures.problems.append(f"{out}: winner {winner(out)}, undisturbed {wanted}")
    figures.searches += 1


def timed(out, search):
    """Return how many seconds an undisturbed search takes."""
    out.mkdir()
    begin = time.monotonic()
    assert start(out, search=search).wait() == 0, (out / "log").read_text()[-3000:]
    return time.monotonic() - begin


def run(cycles, searches=3 * (ONE_STUDY,) + (THREE_STUDIES,), seed=0):
    draw, figures = random.Random(seed), Figures()
    with tempfile.TemporaryDirectory(prefix="darec-cycles-") as scratch:
        whole = [timed(Path(scratch) / f"whole{k}", each) for k, each in enumerate(searches)]
        wanted = winner(Path(scratch) / "whole0")
        while figures.kills < cycles:
            out, turn = Path(scratch) / str(figures.searches), figures.searches % len(searches)
            out.mkdir()
            kills = 0
            while True:
                driver = start(out, search=searches[turn])
                left = kills < MOST_KILLS and figures.kills < cycles
                try:
                    share = draw.uniform(0.2, 1.1)
                    status = driver.wait(share * whole[turn] if left else None)
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
                    check(out, searches[turn], wanted, figures)
                break
            print(figures, flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(bool(run(int(sys.argv[1])).problems))
