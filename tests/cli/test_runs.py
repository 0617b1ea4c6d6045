"""The commands as a user runs them."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from darec import processes
from darec.api.names import installed_models
from darec.cli.main import app_of
from darec.cli.reproduce import join_lists

JOBS = Path(__file__).parents[2] / "jobs"


def run(name, *options, cwd):
    return subprocess.run(
        [sys.executable, str(JOBS / f"{name}.py"), *map(str, options)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160"},
    )


@pytest.fixture
def invoke(cluster, monkeypatch, tmp_path):
    """Run a command in this process and on the Ray of the tests, which takes much less time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(processes._Command, "runs", False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def call(name, *options):
        monkeypatch.setattr(sys, "argv", [f"jobs/{name}.py"])
        return CliRunner().invoke(app_of(name), join_lists([name, *options])[1:])

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.slow
def test_the_main_job_from_search_to_scores(invoke, tmp_path):
    ended = run("tune", "--pair", "toys_auto", "--smoke-test", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-2000:]
    for words in ("Plan: i_darec on toys_auto-synthetic", "Winner", "hierarchical_bias", "next:"):
        assert words in ended.stdout
    folder = tmp_path / "results" / "toys_auto-synthetic-90" / "i_darec"
    best = json.loads((folder / "best.json").read_text())
    assert best["pair"] == "toys_auto-synthetic" and best["stage1_valid_rmse"] is not None
    assert_curves(folder)
    options = ["--pair", "toys_auto", "--synthetic", "--seeds", "2"]
    ended = run("evaluate", *options, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "2 seeds" in ended.stdout and "hierarchical_bias" in ended.stdout
    path = tmp_path / "results" / "scores.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines.sort(key=lambda line: (line["split_seed"], line["cold"]))  # written as runs end
    assert [(line["split_seed"], line["cold"], line["searched_split"]) for line in lines] == [
        (0, "fallback", True),
        (0, "floor", True),
        (0, "hierarchical", True),
        (1, "fallback", False),
        (1, "floor", False),
        (1, "hierarchical", False),
    ]
    assert lines[0]["valid_rmse"] == pytest.approx(best["valid_rmse"], abs=1e-6)
    before = path.read_text()
    assert invoke("evaluate", *options).exit_code == 0
    assert path.read_text() == before, "a score is measured once"


def test_several_models_end_in_one_table_under_a_uri(invoke, tmp_path):
    out = (tmp_path / "bucket").as_uri()
    options = ["--pair", "toys_auto", "--synthetic", "--out", out]
    for name in ("mean", "shared_bias", "pmf"):
        ended = invoke("tune", *options, "--model", name, "--trials", "1", "--max-epochs", "2")
        assert ended.exit_code == 0, ended.output
        assert ("an epoch is a whole fit" in ended.stdout) == (name != "shared_bias")
    scored = [*options, "--model", "all", "--seeds", "2"]
    ended = invoke("evaluate", *scored)
    assert ended.exit_code == 0, ended.output
    lines = ended.stdout.splitlines()
    begin = next(k for k, line in enumerate(lines) if "RMSE, mean ± sd" in line)
    rows = [line.split()[1] for line in lines[begin:] if line.startswith("│")]
    models = {"mean", "shared_bias", "pmf"}
    assert set(rows[:3]) == models and rows[3:6] == ["hierarchical", "bias,", "mean"]
    assert rows[6:9] == rows[:3] and rows[9:] == ["by", "by"]  # the figures of lists
    told = ended.stdout.partition("RMSE on")[0]
    assert re.search(
        rf"^{rows[0]} has the lowest test RMSE, [0-9.]+ ± [0-9.]+: ", told, re.MULTILINE
    )
    assert "A paired test needs 5 splits or more." in ended.stdout
    scores = tmp_path / "bucket" / "scores.jsonl"
    lines = scores.read_text().splitlines()
    assert len(lines) == 3 * 2 * 3
    cut_short = "\n".join([*lines[:-1], lines[-1][:50]])
    scores.write_text(cut_short)  # a crash: the pair is measured again
    assert invoke("evaluate", *scored).exit_code == 0
    again = [json.loads(line) for line in scores.read_text().splitlines() if line.endswith("}")]
    assert again[-2:] == [json.loads(line) for line in lines[-2:]]
    assert not (tmp_path / "results").exists()


def assert_curves(folder):
    """TensorBoard finds the loss parts, domain accuracy, RMSE of both stages and the HParams."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    wanted = {
        "tune": {
            *("loss/rating_source", "loss/rating_target", "loss/domain", "loss/regulariser"),
            *("domain/accuracy", "valid/rmse", "valid/stage1_rmse", "best/valid_rmse"),
        },
        "stage1_target/tune": {"loss/rating_target", "loss/regulariser", "valid/rmse"},
        "stage1_source/tune": {"valid/rmse", "time/total_s"},
    }
    for study, tags in wanted.items():
        events = sorted((folder / study).glob("*/events.out.tfevents.*"))
        assert len(events) == 2
        for path in events:
            seen = EventAccumulator(str(path)).Reload()
            found = set(seen.Tags()["scalars"])
            assert tags <= found and all("/" in tag for tag in found)
            assert "_hparams_/session_start_info" in seen.summary_metadata
            assert "_hparams_/experiment" not in seen.summary_metadata
    winner = json.loads((folder / "best.json").read_text())["trial_id"]
    (marked,) = (folder / "winner").iterdir()
    (original,) = (folder / "tune" / marked.name).glob("events.out.tfevents.*")
    assert marked.name.startswith(f"{winner}_") and "=" in marked.name
    assert (marked / original.name).read_bytes() == original.read_bytes()


@pytest.mark.slow
def test_every_command_of_the_quickstart_does_what_the_page_says(invoke, tmp_path):
    page = (JOBS.parent / "docs" / "quickstart.md").read_text()
    lines = re.findall(r"^python jobs/(\w+)\.py (.+)$", page, re.MULTILINE)
    said = []
    for name, words in lines:
        ended = invoke(name, *shlex.split(words))
        assert ended.exit_code == 0, (name, words, ended.stderr[-2000:])
        said.append(ended.stdout)
    assert [name for name, _ in lines] == ["tune", "tune", "status", "evaluate", "recommend"]
    assert "Plan: i_autorec on toys_auto-synthetic" in said[0] and "page:  " in said[0]
    assert re.search(r"i_autorec +│ finished +│ 6/6 ", said[2])
    assert "2 seeds" in said[3] and "hierarchical_bias" in said[3]
    assert len(re.findall(r"t\d{6}", said[4])) == 5
    study = tmp_path / "results" / "toys_auto-synthetic-90" / "i_autorec"
    assert (study / "study.html").stat().st_size > 10_000
    assert (study / "optuna.log").stat().st_size > 1000


@pytest.mark.slow
def test_a_table_is_reproduced_and_the_second_time_nothing_runs(invoke, tmp_path):
    budget = ["--trials", "1", "--max-epochs", "1", "--seeds", "2", "--train", "90"]
    options = ["table2", "--pairs", "toys_auto", "--synthetic", "--models", "cmf_unbiased", *budget]
    planned = invoke("reproduce", *options, "--plan")
    assert planned.exit_code == 0 and "4 searches with 4 trials" in planned.stdout
    assert not (tmp_path / "results").exists()
    ended = run("reproduce", *options, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout
    page = tmp_path / "results" / "report" / "report.html"
    assert ended.stdout.rstrip().splitlines()[-1].startswith("next:  ")
    written = page.read_bytes()
    assert b"paper 2.1855" in written and b"4 of 4 searches are scored" in written
    again = invoke("reproduce", *options)
    assert again.exit_code == 0 and "4 are done; to run: 0" in again.stdout
    assert page.read_bytes() == written
    study = tmp_path / "results" / "toys_auto-synthetic-90" / "bias" / "study.json"
    study.write_text("damaged")
    both = [word for word in options if word != "90"] + ["90", "80"]
    ended = invoke("reproduce", *both, "--page")
    assert ended.exit_code == 0 and "left out: toys_auto-synthetic-90-bias: " in ended.stdout
    assert b"3 of 4 searches are scored" in page.read_bytes()


def said_by(invoke, page):
    """Run every command of a page, and return what the last one of each name printed."""
    said = {}
    for name, words in re.findall(r"^python jobs/(\w+)\.py (.+)$", page, re.MULTILINE):
        ended = invoke(name, *shlex.split(words))
        assert ended.exit_code == 0, (name, words, ended.stderr[-2000:])
        said[name] = ended.stdout
    return said


@pytest.mark.slow
@pytest.mark.nightly
def test_every_command_of_the_walk_through_does_what_the_page_says(invoke, tmp_path):
    page = (JOBS.parent / "docs" / "walkthrough.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(code, {})
    said = said_by(invoke, page)
    order = ["prepare", "tune", "status", "evaluate", "compare", "recommend", "reproduce"]
    assert list(said) == order
    shown = re.findall(r"^    (Read books|source: |target: |Test ratings)(.+)$", page, re.MULTILINE)
    assert all(f"{begin}{rest}" in said["prepare"] for begin, rest in shown) and len(shown) == 4
    assert re.search(r"i_autorec +│ finished +│ 10/10 ", said["status"])
    assert "i_autorec" in said["compare"] and (tmp_path / "results/report/report.html").is_file()
    assert r"i\_autorec & " in (tmp_path / "table.tex").read_text()


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(2400)
def test_every_command_of_the_page_on_all_models_does_what_it_says(invoke, tmp_path):
    said = said_by(invoke, (JOBS.parent / "docs" / "all_models.md").read_text())
    assert list(said) == ["tune", "status", "evaluate", "reproduce"]
    models = [*installed_models(), "stack"]
    assert all(re.search(rf"│ {model} +│", said["tune"]) for model in models)
    assert all(f"toys_auto-synthetic-90/{model} " in said["status"] for model in models)
    assert all(re.search(rf"│ {model} +│", said["evaluate"]) for model in models)
    page = (tmp_path / "all" / "report" / "report.html").read_text()
    assert all(f"<td>{model}</td>" in page for model in ("item_knn", "fm", "emcdr"))
