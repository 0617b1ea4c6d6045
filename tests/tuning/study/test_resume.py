"""Studies that were interrupted, or whose driver was killed, go on where they were."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from darec.errors import UserError
from darec.tuning.private import search_algorithm_of
from darec.tuning.study.run import run_study
from darec.tuning.study.study import StudyInterrupted
from darec.tuning.study.tuner import make_tuner
from tests.reporting import Recorder

ROOT = Path(__file__).parents[3]


def test_a_resumed_search_runs_as_many_at_once_as_there_is_room_for_now(study, settings):
    run_study(study, settings, resume=False)
    more = replace(settings, slots=replace(settings.slots, concurrent=7))
    tuner = make_tuner(replace(study, trials=7), more, resume=True)
    limiter = search_algorithm_of(tuner)
    assert limiter.max_concurrent == 7
    limiter.set_state({"max_concurrent": 2, "live_trials": {"a"}})  # as the snapshot has it
    assert limiter.max_concurrent == 7 and limiter.live_trials == {"a"}


class Interrupts(Recorder):
    """Interrupts a search when its first progress is shown: its first trials have just begun."""

    @contextmanager
    def study(self):
        def show(view):
            self.views.append(view)
            if len(self.views) == 1:
                signal.raise_signal(signal.SIGINT)

        yield show


@pytest.mark.parametrize(
    "take", [shutil.move, pytest.param(shutil.copytree, marks=pytest.mark.nightly)]
)
def test_a_moved_or_copied_study_goes_on_in_its_new_place_alone(take, study, settings, tmp_path):
    begun = replace(study, folder=tmp_path / "old", storage=str(tmp_path / "old"))
    begun.folder.mkdir()
    with pytest.raises(StudyInterrupted):
        run_study(begun, replace(settings, reporter=Interrupts()), resume=False)
    take(begun.folder, tmp_path / "new")
    before = listing(begun.folder)
    moved = replace(begun, folder=tmp_path / "new", storage=str(tmp_path / "new"))
    rows = run_study(moved, settings, resume=True)
    assert len(rows) == study.trials and not any(row.failures for row in rows), rows
    assert {row.ended for row in rows} <= {"completed", "stopped early"}
    assert all(row.checkpoint.path.startswith(f"{moved.folder}/") for row in rows)
    assert listing(begun.folder) == before


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_time_budget_is_used_up_by_a_search_that_was_interrupted(study, settings):
    """Tune's clock of it goes on where the search does, and so does ours."""
    long, told = replace(study, time_budget=35.0, trials=10_000), Recorder()

    def interrupt():
        while not any(path.stat().st_size for path in study.folder.glob("tune/*/result.json")):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(StudyInterrupted):
        run_study(long, replace(settings, reporter=told), resume=False)
    (line,) = [line for line in told.lines if line.startswith("  trials ")]
    assert "CPU hours" in line  # its trials are accounted for all the same
    best = told.views[-1].best
    assert best.error > 0 and best.epoch > 0
    begin = time.monotonic()
    rows = run_study(long, settings, resume=True)
    assert rows[0].best_epoch > 0 and time.monotonic() - begin < 60


def test_a_time_budget_that_is_over_before_the_first_epoch_is_reported_and_can_be_resumed(
    study, settings
):
    short = replace(study, time_budget=0.01, trials=10_000)
    with pytest.raises(UserError, match=r"its time budget of 0.01 s ended before any trial"):
        run_study(short, settings, resume=False)
    rows = run_study(short, settings, resume=True)
    assert rows[0].best_epoch > 0 and len(rows) < 10_000


def test_a_search_killed_before_tune_wrote_a_snapshot_begins_again(study, settings):
    (study.folder / "tune").mkdir()
    (study.folder / "tune" / "tuner.pkl").write_bytes(b"cut")
    assert len(run_study(study, settings, resume=True)) == study.trials


RESUME = """
import json, sys
from pathlib import Path
from darec.data.split import split
from darec.data.store import obtain
from darec.models import MODELS
from darec.tuning.cluster.connection import connect
from darec.tuning.cluster.shares import Slots
from darec.tuning.durability.scheduler_state import SchedulerState
from darec.tuning.private import callbacks_of, optuna_study_of, search_algorithm_of
from darec.tuning.study.study import Settings, Study
from darec.tuning.study.tuner import make_tuner
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES
connect(None)
folder, data = Path(sys.argv[1]), split(obtain("toys_auto", Path("data"), True)).search
space = SPACES["i_autorec"].fix({"hidden": 500})
study = Study(
    "i_autorec", MODELS["i_autorec"], data, dict(space.space), dict(space.fixed), 10, folder,
    str(folder),
)
settings = Settings("tpe", "asha", 9, Slots(1.0, 0.0, 2), 0, ClusterCache())
tuner = make_tuner(study, settings, resume=True)
grid = tuner.fit()
(state,) = [each for each in callbacks_of(tuner) if isinstance(each, SchedulerState)]
rungs = {at: len(seen) for at, seen in state.scheduler.scheduler._brackets[0]._rungs}
search = search_algorithm_of(tuner).searcher
states = [trial.state.name for trial in optuna_study_of(search).trials]
epochs = [result.metrics["epoch"] for result in grid]
print("RESUMED", json.dumps([len(grid), rungs, states, epochs]))
"""


@pytest.mark.ray
def test_a_killed_driver_resumes_with_rungs_and_study_complete(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "jobs" / "tune.py"), "--pair", "toys_auto", "--synthetic"]
    command += ["--model", "i_autorec", "--trials", "10", "--max-epochs", "9", "--out", str(out)]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    log = (tmp_path / "log").open("w")
    driver = subprocess.Popen(
        [*command, "--fix", "hidden=500"], env=environment, stdout=log, stderr=log
    )
    folder = out / "toys_auto-synthetic-90" / "i_autorec"
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("tune/*/progress.csv"))) < 4:
            assert driver.poll() is None and time.monotonic() < deadline, log.name
            time.sleep(0.2)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert not (folder / "best.json").exists()
    ended = subprocess.run(
        [sys.executable, "-c", RESUME, str(folder)], env=environment, capture_output=True, text=True
    )
    line = next((row for row in ended.stdout.splitlines() if row.startswith("RESUMED")), None)
    assert line, ended.stderr[-2000:]
    n_trials, rungs, states, epochs = json.loads(line.removeprefix("RESUMED "))
    assert n_trials == 10 and len(states) == 10 and set(states) == {"COMPLETE"}
    assert rungs["3"] == 10, rungs
    assert rungs["9"] == sum(epoch >= 9 for epoch in epochs), (rungs, epochs)
