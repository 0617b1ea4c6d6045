import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from darec.report.matrix.cells import Budget, Cell
from darec.report.matrix.results import Results
from darec.report.running import runner
from darec.report.running.runner import Runner
from darec.report.running.step import Place
from tests.report.made import scored

ROOT = Path(__file__).parents[2]
BUDGET = Budget(8, 2, 3, seeds=5)
MU_0 = (("mu", 0),)
PRETEND = """
import json, sys, time
request = json.load(sys.stdin)
cell = request["cell"]
time.sleep(1.0 if cell["pair"] == "slow" and not cell["fix"] else 0.2)
print(request["step"], "of", cell["pair"], flush=True)
if cell["pair"] == "bad":
    sys.exit("error: it is bad")
if cell["pair"] == "silent":
    sys.exit(3)
"""


def place(tmp_path):
    return Place(tmp_path, Path("data"), "here:1", trials_at_once=1)


@pytest.fixture
def steps(monkeypatch):
    """Steps that only say what they are; those of the pair "bad" fail."""
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-c", PRETEND))


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
        assert f"search of {name}" in log and f"evaluate of {name}" in log


def test_the_log_has_each_step_as_a_line_for_the_shell(tmp_path, steps):
    ours = Runner(BUDGET, place(tmp_path), lambda *_: None)
    assert ours.run([(Cell("it's", 90, "cmf"), ("search",))], 1) == {}
    log = (tmp_path / "report" / "logs" / "it's-90-cmf.log").read_text()
    assert log.startswith("$ echo ") and log.endswith("search of it's\n")
    line = log.removeprefix("$ ").removesuffix("search of it's\n")
    again = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60)
    assert again.stdout == "search of it's\n"


def test_a_step_that_fails_without_an_error_is_reported_by_its_last_line(tmp_path, steps):
    cell = Cell("silent", 90, "cmf")
    failures = Runner(BUDGET, place(tmp_path), lambda *_: None).run([(cell, ("evaluate",))], 1)
    assert failures[cell].startswith("evaluate: evaluate of silent (exit 3, ")


def test_on_ctrl_c_the_step_gets_sigterm_and_no_further_step_begins(tmp_path, monkeypatch):
    waits = "import time; print('waits', flush=True); time.sleep(600)"
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-c", waits))
    log, told = tmp_path / "report" / "logs" / "a-90-cmf.log", []

    def interrupt():
        while not (log.is_file() and "\nwaits" in log.read_text()):
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    ours = Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.pair, step)))
    todo = [(Cell(name, 90, "cmf"), ("search", "evaluate")) for name in ("a", "b")]
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        ours.run(todo, at_once=1)
    assert told == [("a", "search"), ("a", "stopped")]


def test_a_search_takes_stage_1_from_the_one_that_it_shares_it_with(tmp_path, steps):
    base = Cell("toys_auto", 90, "u_darec", True, paper=True)
    scored(base, tmp_path, [1.0] * 5)
    for domain in ("target", "source"):
        study = base.folder(tmp_path) / f"stage1_{domain}"
        (study / "tune").mkdir(parents=True)
        (study / "best.json").write_text(domain)
    changed, sized = (replace(base, fix=fix) for fix in (MU_0, (("hidden", 9),)))
    assert Results(tmp_path, BUDGET, {}).missing(base) == []
    Runner(BUDGET, place(tmp_path), print).run([(changed, ("search",)), (sized, ("search",))], 2)
    folder = changed.folder(tmp_path)
    assert folder == tmp_path / "variants" / "paper-mu=0" / "toys_auto-synthetic-90" / "u_darec"
    for domain in ("target", "source"):
        assert (folder / f"stage1_{domain}" / "best.json").read_text() == domain
    assert not list(folder.glob("stage1_*/tune")) and not sized.folder(tmp_path).exists()


def test_a_search_waits_for_the_one_whose_stage_1_it_shares(tmp_path, steps, monkeypatch):
    base, told = Cell("slow", 90, "u_darec"), []
    monkeypatch.setattr(Runner, "_copy_stage1", lambda *_: None)
    todo = [(base, ("search",)), (Cell("slow", 90, "u_darec", fix=MU_0), ("search",))]
    Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.fix, step))).run(todo, 2)
    assert [step for _, step in told] == ["search", "done"] * 2 and told[0][0] == ()


def test_a_search_fails_with_the_one_whose_stage_1_it_shares(tmp_path, steps):
    """On a stage 1 of its own it would not show what the part is worth."""
    changed, told = Cell("bad", 90, "u_darec", fix=MU_0), []
    todo = [(Cell("bad", 90, "u_darec"), ("search",)), (changed, ("search",))]
    ours = Runner(BUDGET, place(tmp_path), lambda cell, step: told.append((cell.fix, step)))
    failures = ours.run(todo, 2)
    assert failures[changed].startswith(
        "its stage 1 is that of bad-90-u_darec: search: it is bad (exit 1, "
    )
    assert told == [((), "search"), ((), "failed"), (MU_0, "failed")]


KILLED = """
import sys
from pathlib import Path
from darec.report.matrix.cells import Budget, Cell
from darec.report.running import runner
from darec.report.running.step import Place
code = "from darec.processes import begin_command; begin_command()"
code += "; import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
runner.COMMAND = (sys.executable, "-c", code)
place = Place(Path(sys.argv[1]), Path("data"), "here:1", 1)
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
