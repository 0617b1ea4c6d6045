"""Breaks tiny searches at random moments, in every way that we know of, and resumes them.

Run it with ``python -m tests.tuning.durability.cycles EVENTS [SEED]``.

Each search draws a scheduler and a sampler, each event a fault and its moment. Every command must
end with a known exit code, one line beginning ``error:`` where its fault demands that, and no
traceback. When a search has come to its end, every trial must be there once and must have ended.
Where neither the trials nor their epochs depend on their order, the winner must be that of an
undisturbed search. Prints a table of the faults; what went wrong names the seed and the folder,
which is then kept.
"""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from darec.tuning.private import SNAPSHOT_FILES
from darec.tuning.trial.names import trial_id_of
from tests.tuning.durability.processes import descendants

ROOT = Path(__file__).parents[3]
STUDY = Path("toys_auto-synthetic-90", "i_autorec")
TRIALS, MOST_EVENTS = 8, 4
COMMAND = [sys.executable, str(ROOT / "jobs" / "tune.py"), "--pair", "toys_auto", "--synthetic"]
COMMAND += ["--trials", str(TRIALS), "--max-epochs", "8", "--resume"]
ONE_STUDY = "--model i_autorec --fix hidden=50 --sampler random --scheduler none".split()
SCHEDULERS = ("asha", "hyperband", "median", "none")
SAMPLERS = ("tpe", "random", "qmc", "gp", "nsga2")
ENDINGS = ("completed", "stopped early", "stalled")
IN_ORDER = {"random", "qmc"}
"""Samplers whose draws do not depend on results."""
KEPT = ("config", "epoch", "valid_rmse", "trials")
KILLED, INTERRUPTED, ERROR = -signal.SIGKILL, 130, 1
LONG = ["--max-epochs", "30"]
"""Makes the searches that are struck last for some seconds."""
EARLY, SOON_S, TRAINS_S = 0.2, 6.0, 4.0
"""The share of faults that come within so many seconds of the start; the others come within so many
seconds of a trial's first result."""
ENDS_S = 180
"""Within so many seconds a driver whose fault it cannot survive must have ended."""


def corrupted(path, draw):
    """Damage a file: empty it, cut it short, flip a bit, or write noise over it."""
    content = path.read_bytes()
    at = draw.randrange(max(1, len(content)))
    kind = draw.choice(("empty", "cut", "bit", "noise"))
    if kind == "empty":
        content = b""
    if kind == "cut":
        content = content[:at]
    if kind == "bit" and content:
        content = content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
    if kind == "noise":
        content = draw.randbytes(1000)
    path.write_bytes(content)
    return kind


def some(folder, pattern, draw):
    """Return one file that fits a pattern; None if there is none."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    return draw.choice(found) if found else None


TUNES_OWN = {f"Tune's {name.partition('-')[0]}": name.format("*") for name in SNAPSHOT_FILES}
CORRUPT = {
    "snapshot.zip": "snapshot.zip",
    **{name: f"tune/{pattern}" for name, pattern in TUNES_OWN.items()},
    "tuner.pkl": "tune/tuner.pkl",
    "a checkpoint": "tune/*/checkpoint_*/*",
    "a result file": "tune/*/result.json",
}
"""The damaged files: patterns below the study's folder."""
PROCESSES = {
    "worker": r"ray::(?!\w*Agent)",
    "agent": r"ray::\w*Agent",
    "gcs": r"\S*/gcs/gcs_server",
    "raylet": r"\S*/raylet/raylet",
}
"""How the command lines of the processes that a driver starts begin. A raylet ends with either of
its two agents."""
FAULTS = ("kill", "kill", "sigterm", "sigterm to all", *PROCESSES, "disk", *CORRUPT)


@dataclass
class Figures:
    """What happened in the cycles."""

    events: Counter = field(default_factory=Counter)
    searches: int = 0
    lost: int = 0
    """Searches of which both copies of the snapshot were damaged, and which said so."""
    forgotten: int = 0
    """Trials that a killed driver had started and its last snapshot did not know."""
    problems: list[str] = field(default_factory=list)


def start(out, *options, search=ONE_STUDY, log=None):
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    where = ["--data", str(out / "data"), "--out", str(out)]
    with (log or out / "log").open("a") as said:
        return subprocess.Popen(
            [*COMMAND, *search, *where, *options],
            env=environment,
            stdout=said,
            stderr=said,
            process_group=0,  # a group of its own, to which a signal can be sent
        )


def processes(pid, name):
    """Return the ids of the processes of a name that a driver has started."""
    return [child for child, line in descendants(pid) if re.match(PROCESSES[name], line)]


def winner(out):
    best = json.loads((out / STUDY / "best.json").read_text())
    return {name: best[name] for name in KEPT}


class Search:
    """One search, its faults and what it must have come to in the end."""

    def __init__(self, scratch, name, draw, figures, mount):
        self.draw, self.figures, self.said = draw, figures, ""
        self.copy_damaged = self.lost = False
        self.scheduler, self.sampler = draw.choice(SCHEDULERS), draw.choice(SAMPLERS)
        self.options = ["--model", "i_autorec", "--fix", "hidden=50"]
        self.options += ["--sampler", self.sampler, "--scheduler", self.scheduler, *LONG]
        self.folder = scratch / name
        self.out, self.log = self.folder / "out", self.folder / "log"
        self.out.mkdir(parents=True)
        self.on_disk = (
            mount
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", self.out], check=False
            ).returncode
        )

    def problem(self, text):
        kind = f"{self.folder} ({self.sampler}, {self.scheduler})"
        self.figures.problems.append(f"{kind}: {text}\n{self.said[-1500:]}")

    def ended(self, driver, fault, codes, timeout=None):
        """Wait for a driver's end and check what it said; return its exit code."""
        before = len(self.said)
        try:
            code = driver.wait(timeout)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
            self.problem(f"after {fault}: silent for {timeout} s")
            return None
        time.sleep(0.5)  # the last words may come after the end
        self.said = self.log.read_text(errors="replace")
        new = self.said[before:]
        if code == ERROR and self.copy_damaged and "and so is Tune's own snapshot" in new:
            self.lost, self.figures.lost = True, self.figures.lost + 1
        elif code not in codes:
            self.problem(f"after {fault}: exit code {code} instead of {sorted(codes)}")
        if "Traceback" in new:
            self.problem(f"after {fault}: a traceback")
        if code == ERROR and not any(line.startswith("error: ") for line in new.splitlines()):
            self.problem(f"after {fault}: no line begins with error:")
        return code

    def strike(self, fault):
        """Run the search, and break it at a random moment; return whether it is at its end."""
        early, moment = self.draw.random() < EARLY, self.draw.random()
        begin = time.time()
        driver = start(self.out, search=self.options, log=self.log)
        while not early and driver.poll() is None and not self.trained_since(begin):
            time.sleep(0.1)
        try:
            driver.wait(moment * (SOON_S if early else TRAINS_S))
        except subprocess.TimeoutExpired:
            pass
        else:  # it was quicker
            return self.ended(driver, "no fault", {0}) == 0
        self.figures.events[fault] += 1
        if fault in PROCESSES:
            struck = processes(driver.pid, fault)
            for pid in struck[:1]:
                os.kill(pid, signal.SIGKILL)
            survives = fault == "worker" or not struck
            code = self.ended(driver, fault, {0} if survives else {0, ERROR}, ENDS_S)
        elif "sigterm" in fault:
            send = os.kill if fault == "sigterm" else os.killpg
            send(driver.pid, signal.SIGTERM)
            codes = {0, INTERRUPTED} if fault == "sigterm" else {0, INTERRUPTED, ERROR}
            if early:  # before the command can hear it
                codes.add(-signal.SIGTERM)
            code = self.ended(driver, fault, codes, ENDS_S)
        elif fault == "disk" and self.on_disk:
            filler = self.out / "filler"
            command = ["dd", "if=/dev/zero", f"of={filler}", "bs=1M"]
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
            code = self.ended(driver, fault, {0, ERROR}, ENDS_S)
            filler.unlink()
        else:
            driver.kill()
            code = self.ended(driver, fault, {0, KILLED})
            study = self.out / STUDY
            copied = (study / "snapshot.zip").exists()  # before, the search is a second old
            damaged = copied and fault in CORRUPT and some(study, CORRUPT[fault], self.draw)
            if damaged:
                self.copy_damaged |= fault == "snapshot.zip"
                self.said += f"\n{damaged}: {corrupted(damaged, self.draw)}\n"
        return code == 0

    def trained_since(self, begin):
        """Return whether a trial has reported since a moment."""
        results = (self.out / STUDY).glob("tune/*/result.json")
        return any(path.stat().st_mtime > begin for path in results)

    def finish(self, fault):
        """Resume the search undisturbed; return whether it came to its end."""
        driver = start(self.out, search=self.options, log=self.log)
        return self.ended(driver, f"{fault}, resumed", {0}, 3 * ENDS_S) == 0

    def check(self, wanted):
        """Check that no trial is lost or doubled, and the winner."""
        with (self.out / STUDY / "trials.csv").open() as file:
            rows = list(csv.DictReader(file))
        ids = {row["trial_id"] for row in rows}
        if not len(rows) == len(ids) == TRIALS:
            self.problem(f"{len(rows)} trials, {len(ids)} different")
        unended = [row["ended"] for row in rows if row["ended"] not in ENDINGS]
        if unended:
            self.problem(f"trials ended {unended}")
        written = (self.out / STUDY).glob("tune/*/result.json")
        ran = {trial_id_of(path.parent.name) for path in written}
        self.figures.forgotten += len(ran - ids)
        if wanted and winner(self.out) != wanted:
            self.problem(f"winner {winner(self.out)}, undisturbed {wanted}")

    def close(self, keep):
        if self.on_disk:
            if keep:
                shutil.copytree(self.out, self.folder / "kept", dirs_exist_ok=True)
            subprocess.run(["umount", "--lazy", self.out], check=True)


def undisturbed(scratch, sampler):
    """Return the winner of a search whose trials all train to the end."""
    out = scratch / f"whole-{sampler}"
    out.mkdir()
    options = [*ONE_STUDY[:4], "--sampler", sampler, "--scheduler", "none", *LONG]
    assert start(out, search=options).wait() == 0, (out / "log").read_text()[-3000:]
    return winner(out)


def run(n_events, seed=0, faults=FAULTS):
    draw, figures, mount = random.Random(seed), Figures(), os.geteuid() == 0
    scratch = Path(tempfile.mkdtemp(prefix=f"darec-cycles-{seed}-"))
    winners = {}
    while figures.events.total() < n_events:
        search = Search(scratch, str(figures.searches), draw, figures, mount)
        before, fault, over = len(figures.problems), "no fault", False
        for _ in range(draw.randint(1, MOST_EVENTS)):
            fault = draw.choice(faults)
            over = search.strike(fault)
            if over or search.lost or figures.events.total() >= n_events:
                break
        if not search.lost and (over or search.finish(fault)):
            in_order = search.sampler in IN_ORDER and search.scheduler == "none"
            if in_order and search.sampler not in winners:
                winners[search.sampler] = undisturbed(scratch, search.sampler)
            search.check(winners.get(search.sampler) if in_order else None)
        figures.searches += 1
        failed = len(figures.problems) > before
        search.close(failed)
        if not failed:
            shutil.rmtree(search.folder, ignore_errors=True)
        print(table(figures, seed), flush=True)
    if not figures.problems:
        shutil.rmtree(scratch, ignore_errors=True)
    return figures


def table(figures, seed):
    """Return the figures so far as text."""
    lines = [f"{fault:28} {count}" for fault, count in sorted(figures.events.items())]
    events = f"{figures.events.total()} events in {figures.searches} searches, seed {seed}"
    kept = f"{figures.forgotten} trials drawn again, {figures.lost} searches lost and told"
    lines += [f"{events}: {kept}, {len(figures.problems)} problems"]
    return "\n".join([*lines, *figures.problems, ""])


if __name__ == "__main__":
    sys.exit(bool(run(*map(int, sys.argv[1:3])).problems))
