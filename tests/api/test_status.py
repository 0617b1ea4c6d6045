"""What searches are doing, read from their files; and the request to stop one."""

import json
import logging
import shutil
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import darec
from darec.api import status as api
from darec.cli.main import app_of
from darec.tuning.durability import heartbeat, holder
from darec.tuning.durability.lock import LOCK, alone, folder_locked, holder_of
from darec.tuning.study import halt as halting
from darec.tuning.study.halt import STOP, Halt, StopWatch, StudyHalted, forget_stop, stop_asked
from darec.tuning.study.record import write_record
from tests.tuning.common import request_for


@pytest.fixture
def searches(tiny_pair, tmp_path):
    """A finished one-stage search, and one of two stages in its second study."""
    for model in ("i_autorec", "i_darec"):
        folder = tmp_path / "out" / "tiny-90" / model
        write_record(request_for(model, tiny_pair, folder), {})
    head = "trial_id,ended,best_valid_rmse\n"
    one, two = (tmp_path / "out" / "tiny-90" / model for model in ("i_autorec", "i_darec"))
    (one / "trials.csv").write_text(head + "0,completed,0.9\n1,diverged: nan,inf\n2,failed,inf\n")
    (one / "best.json").touch()
    (two / "stage1_target").mkdir()
    (two / "stage1_target" / "best.json").touch()
    (two / "stage1_target" / "trials.csv").write_text(head + "0,stalled,0.8\n1,completed,0.7\n")
    (two / "stage1_source").mkdir()
    (two / "stage1_source" / "trials.csv").write_text(head + "0,unfinished,inf\n")
    return tmp_path / "out"


def told(found):
    return [(each.study, each.state, each.n_ended, each.asked) for each in found]


def test_studies_are_listed_with_what_they_are_doing(searches):
    found = darec.status(searches)
    assert told(found) == [
        ("tiny-90/i_autorec", "finished", 3, 6),
        ("tiny-90/i_darec/stage1_target", "finished", 2, 2),
        ("tiny-90/i_darec/stage1_source", "interrupted", 0, 2),
        ("tiny-90/i_darec", "waiting", 0, 6),
    ]
    assert found[0].ended == {"completed": 1, "diverged": 1, "failed": 1}
    assert [each.best_valid_rmse for each in found] == [0.9, 0.7, None, None]
    sizes = [path.stat().st_size for path in (searches / "tiny-90" / "i_autorec").iterdir()]
    assert found[0].bytes == sum(sizes)
    assert found[3].bytes == (searches / "tiny-90" / "i_darec" / "study.json").stat().st_size
    with folder_locked(searches / "tiny-90" / "i_darec"):
        running = darec.status(searches)[2]
        assert running.state == "running" and running.process.startswith("process ")
    assert darec.status(searches)[2].state == "interrupted"


def test_the_command_tells_how_the_trials_of_a_running_study_ended(searches):
    one = searches / "tiny-90" / "i_autorec"
    (one / "best.json").unlink()
    with folder_locked(one):
        ended = CliRunner().invoke(app_of("status"), [str(searches)])
    assert "tiny-90/i_autorec is run by process " in ended.stdout
    assert ": 1 completed, 1 diverged, 1 failed\n" in ended.stdout


def test_a_damaged_record_is_reported_and_hides_no_other(searches, caplog):
    (searches / "tiny-90" / "i_autorec" / "study.json").write_text("{")
    with caplog.at_level(logging.WARNING, "darec"):
        assert len(darec.status(searches)) == 3
    assert "i_autorec/study.json: " in caplog.text
    (searches / "tiny-90" / "i_darec" / "stage1_target" / "trials.csv").write_text("a\n")
    with pytest.raises(darec.UserError, match="no search is in this folder"):
        darec.status(searches)


def test_without_a_search_there_is_one_line(tmp_path):
    with pytest.raises(darec.UserError, match="none: no such folder"):
        darec.status(tmp_path / "none")
    with pytest.raises(darec.UserError, match="no search is in this folder"):
        darec.status(tmp_path)


def test_a_search_is_asked_to_stop_and_waited_for(searches, monkeypatch):
    folder, asked = searches / "tiny-90" / "i_darec", []
    with pytest.raises(darec.UserError, match="no search runs here"):
        darec.stop(folder)
    with pytest.raises(darec.UserError, match="no search is here"):
        darec.stop(searches)
    with folder_locked(folder):
        assert darec.stop(folder, wait_s=0.0) is False
        assert [path.parent for path in searches.rglob(STOP)] == [folder]
    held = folder_locked(folder)
    held.__enter__()

    def sleep(seconds):  # the search ends meanwhile
        asked.append(seconds)
        held.__exit__(None, None, None)

    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
    assert darec.stop(folder) is True and asked == [api.LOOK_S]
    assert not list(searches.rglob(STOP))


def test_a_run_ends_when_its_folder_has_the_file(tmp_path, monkeypatch):
    clock, sent = SimpleNamespace(monotonic=lambda: clock.now, now=0.0), []
    monkeypatch.setattr(halting, "time", clock)
    monkeypatch.setattr(halting.signal, "raise_signal", sent.append)
    halt = Halt()
    watch = StopWatch(halt, tmp_path / "old")
    watch.folder = tmp_path  # a search that was moved
    watch.setup()
    watch.on_step_end(0, [])
    assert not sent and not halt.stopped
    (tmp_path / STOP).touch()
    watch.on_step_end(0, [])
    assert not sent  # it looks once a second
    clock.now = 1.0
    watch.on_step_end(0, [])
    assert sent == [halting.signal.SIGINT] and halt.stopped and not halt.reason
    clock.now = 2.0
    watch.on_step_end(0, [])
    assert len(sent) == 1 and stop_asked(tmp_path)  # no further stage may begin
    forget_stop(tmp_path)
    assert not stop_asked(tmp_path)
    halt.setup()
    assert not halt.stopped
    (tmp_path / STOP).touch()
    clock.now, raised = 3.0, []

    def elsewhere():
        with pytest.raises(StudyHalted, match="it was asked to stop"):
            watch.on_step_end(0, [])
        raised.append(halt.reason)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert raised == ["it was asked to stop"]


def test_a_lock_that_nobody_holds_names_no_process(tmp_path):
    assert holder_of(tmp_path) is None
    (tmp_path / LOCK).write_text("process 1 on elsewhere")
    assert holder_of(tmp_path) is None
    (tmp_path / LOCK).write_text("???")
    assert holder_of(tmp_path) is None
    with folder_locked(tmp_path):
        assert holder_of(tmp_path).startswith("process ")


def test_a_header_alone_is_no_trial_and_tunes_own_files_are_not_looked_at(searches):
    folder = searches / "tiny-90" / "i_autorec"
    (folder / "trials.csv").write_text("trial_id,ended,best_valid_rmse\n")
    (folder / "tune" / "0000").mkdir(parents=True)
    (folder / "tune" / "0000" / "study.json").write_text("{")
    found = darec.status(searches)
    assert len(found) == 4 and (found[0].n_ended, found[0].best_valid_rmse) == (0, None)


def test_a_search_at_a_uri_shows_that_it_runs_and_is_asked_to_stop(searches, tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    monkeypatch.setattr(api, "LOOK_AT_URI_S", 0.01)
    out, scratch = f"file://{searches}", tmp_path / "scratch"
    search = f"{out}/tiny-90/i_darec"
    scratch.mkdir()
    with pytest.raises(darec.UserError, match=f"{search}: no search runs here"):
        darec.stop(search)
    with pytest.raises(darec.UserError, match=f"{out}: no search is here"):
        darec.stop(out)
    begun = {each.study: each.began for each in darec.status(searches)}
    assert min(begun.values()) > time.time() - 600

    def run():
        with heartbeat.beating(scratch, search):
            while not stop_asked(scratch):
                time.sleep(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    while heartbeat.runs_at(search) is None:
        time.sleep(0.01)
    found = {each.study: each for each in darec.status(out)}
    assert found["tiny-90/i_darec/stage1_source"].state == "running"
    assert found["tiny-90/i_darec/stage1_source"].process == holder.this_process()
    assert {name: each.began for name, each in found.items()} == begun
    assert darec.stop(search) is True
    thread.join()
    assert darec.status(out)[2].state == "interrupted"
    assert not list(searches.rglob(".*"))
    (searches / "tiny-90" / "i_darec" / STOP).touch()  # asked of a search that is gone
    with heartbeat.beating(tmp_path / "new", search):
        while heartbeat.runs_at(search) is None:
            time.sleep(0.01)
        assert darec.status(search)[1].state == "running"
    assert not (tmp_path / "new").exists()


def test_a_search_at_a_uri_that_another_cluster_uses_is_refused(searches, tmp_path):
    uri = f"file://{searches}/tiny-90/i_darec"
    beat = {"process": "process 7 on elsewhere", "at": time.time()}
    (searches / "tiny-90" / "i_darec" / heartbeat.RUNNING).write_text(json.dumps(beat))
    with pytest.raises(darec.UserError, match=r"another search writes here .process 7 on else"):
        with alone(tmp_path, uri):
            pass
    assert heartbeat.runs_at(uri) == "process 7 on elsewhere"  # it goes on to show itself
    gone = {"process": f"process {2**22 + 1} on {socket.gethostname()}", "at": time.time()}
    (searches / "tiny-90" / "i_darec" / heartbeat.RUNNING).write_text(json.dumps(gone))
    assert heartbeat.runs_at(uri) is None


def test_a_stage_that_has_not_begun_takes_no_space(searches):
    shutil.rmtree(searches / "tiny-90" / "i_darec" / "stage1_source")
    (searches / "tiny-90" / "i_darec" / "stage1_target" / "big").write_bytes(bytes(1000))
    found = {each.study: each for each in darec.status(searches)}
    assert found["tiny-90/i_darec/stage1_source"].bytes == 0
    assert found["tiny-90/i_darec/stage1_target"].bytes > 1000
    assert {each.search for each in found.values()} == {"tiny-90/i_autorec", "tiny-90/i_darec"}


def test_a_search_that_was_killed_at_a_uri_is_interrupted(searches, monkeypatch):
    folder = searches / "tiny-90" / "i_darec"
    beat = {"process": "process 7 on elsewhere", "at": time.time() - heartbeat.ALIVE_S - 1}
    (folder / heartbeat.RUNNING).write_text(json.dumps(beat))
    assert darec.status(f"file://{searches}")[2].state == "interrupted"
    (folder / heartbeat.RUNNING).write_text(json.dumps({**beat, "at": time.time() - 1}))
    found = darec.status(f"file://{searches}")[2]
    assert (found.state, found.process) == ("running", "process 7 on elsewhere")


def test_the_folder_of_one_search_can_be_asked_for(searches):
    whole = {each.study: each.bytes for each in darec.status(searches)}
    found = {each.study: each.bytes for each in darec.status(searches / "tiny-90" / "i_darec")}
    assert list(found) == ["stage1_target", "stage1_source", "."]
    assert found["stage1_source"] == whole["tiny-90/i_darec/stage1_source"]
    assert found["."] == whole["tiny-90/i_darec"]
