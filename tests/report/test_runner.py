import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from darec.report import runner
from darec.report.cells import Budget, Cell, Results
from darec.report.runner import Place, Runner, command
from tests.report.made import scored

ROOT = Path(__file__).parents[2]
BUDGET = Budget(8, 2, 3, seeds=5)


def place(tmp_path):
    return Place(tmp_path, Path("data"), "here:1", trials_at_once=1)


def test_a_step_is_what_a_user_would_type(tmp_path):
    cell = Cell("toys_auto", 80, "u_darec", True, fix=("hidden=200", "extractor=100"))
    words = command(cell, "search", BUDGET, place(tmp_path))
    assert words[1].endswith("jobs/tune.py") and "--resume" in words and "--synthetic" in words
    for pair in (
        "--pair toys_auto",
        "--train 80",
        "--model u_darec",
        "--fix hidden=200",
        "--fix extractor=100",
        "--trials 8",
        "--stage1-trials 2",
        "--max-epochs 3",
        "--at-once 1",
        "--address here:1",
        f"--out {tmp_path}/variants/hidden=200-extractor=100",
    ):
        assert pair in " ".join(words)
    for step, job in (("evaluate", "evaluate.py"), ("cold_users", "cold_users.py")):
        words = " ".join(command(cell, step, BUDGET, place(tmp_path)))
        assert f"jobs/{job} " in words and "--seeds 5" in words and "--trials" not in words


@pytest.fixture
def steps(monkeypatch):
    """Commands that write their step's name, slowly; those of a cell called "bad" fail."""

    def pretend(cell, step, budget, place):
        code = f"import sys, time; time.sleep(0.2); print({cell.name + ' ' + step!r})"
        if cell.pair == "bad":
            code += "; print('error: it is bad'); sys.exit(1)"
        return [sys.executable, "-c", code]

    monkeypatch.setattr(runner, "command", pretend)


def test_a_failure_is_listed_and_stops_nothing_else(tmp_path, steps):
    told = []
    names = ("a", "bad", "b", "c")
    todo = [(Cell(name, 90, "cmf"), ("search", "evaluate")) for name in names]
    ours = Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.pair, step)))
    failures = ours.run(todo, at_once=2)
    assert [cell.pair for cell in failures] == ["bad"]
    (reason,) = failures.values()
    assert reason.startswith("search: it is bad (exit 1, ") and "bad-90-cmf.log" in reason
    assert ("bad", "evaluate") not in told and ("bad", "failed") in told
    for name in ("a", "b", "c"):
        assert [step for cell, step in told if cell == name] == ["search", "evaluate", "done"]
        log = (tmp_path / "report" / "logs" / f"{name}-90-cmf.log").read_text()
        assert f"{name}-90-cmf search" in log and f"{name}-90-cmf evaluate" in log


def test_a_search_takes_stage_1_from_the_one_that_it_shares_it_with(tmp_path, steps):
    base = Cell("toys_auto", 90, "u_darec", True, cold_users=True)
    scored(base, tmp_path, [1.0] * 5)
    for domain in ("target", "source"):
        study = base.folder(tmp_path) / f"stage1_{domain}"
        (study / "tune").mkdir(parents=True)
        (study / "best.json").write_text(domain)
    changed, sized = (
        Cell("toys_auto", 90, "u_darec", True, (fixed,)) for fixed in ("mu=0", "hidden=9")
    )
    assert Results(tmp_path, BUDGET, {}).missing(base) == []
    Runner(BUDGET, place(tmp_path), print).run([(changed, ("search",)), (sized, ("search",))], 2)
    folder = changed.folder(tmp_path)
    for domain in ("target", "source"):
        assert (folder / f"stage1_{domain}" / "best.json").read_text() == domain
    assert not list(folder.glob("stage1_*/tune")) and not sized.folder(tmp_path).exists()


def test_a_search_waits_for_the_one_whose_stage_1_it_shares(tmp_path, monkeypatch):
    def slow(cell, step, budget, place):
        seconds = 0.0 if cell.fix else 1.0
        return [sys.executable, "-c", f"import time; time.sleep({seconds})"]

    monkeypatch.setattr(runner, "command", slow)
    base, told = Cell("a", 90, "u_darec", cold_users=True), []
    monkeypatch.setattr(Runner, "_inherit", lambda *_: None)
    todo = [(base, ("search",)), (Cell("a", 90, "u_darec", fix=("mu=0",)), ("search",))]
    Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.fix, step))).run(todo, 2)
    assert [step for _, step in told] == ["search", "done"] * 2 and told[0][0] == ()


def test_a_search_fails_with_the_one_whose_stage_1_it_shares(tmp_path, steps):
    """On a stage 1 of its own it would not show what the part is worth."""
    changed, told = Cell("bad", 90, "u_darec", fix=("mu=0",)), []
    todo = [(Cell("bad", 90, "u_darec"), ("search",)), (changed, ("search",))]
    ours = Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.fix, step)))
    failures = ours.run(todo, 2)
    assert failures[changed].startswith("its stage 1 is bad-90-u_darec's: search: it is bad")
    assert told == [((), "search"), ((), "failed"), (("mu=0",), "failed")]


KILLED = """
import sys
from pathlib import Path
from darec.report import runner
from darec.report.cells import Budget, Cell
code = "from darec.processes import end_with_parent; end_with_parent()"
code += "; import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
runner.command = lambda *_: [sys.executable, "-c", code]
place = runner.Place(Path(sys.argv[1]), Path("data"), "here:1", 1)
runner.Runner(Budget(1, 1, 1, 1), place, print).run([(Cell("a", 90, "cmf"), ("search",))], 1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_what_runs_ends_with_the_command_that_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    log, deadline = tmp_path / "report" / "logs" / "a-90-cmf.log", time.monotonic() + 60
    while not (log.is_file() and "\npid " in log.read_text()):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    pid = int(log.read_text().split("\npid ")[1])
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    while (
        Path(f"/proc/{pid}").exists()
        and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
