"""The commands as a user types them, without a search."""

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import darec
from darec.cli.command import called, command_line
from darec.cli.main import COMMANDS, app_of
from darec.cli.model_list import ABOUT
from darec.cli.options import parse_fix
from darec.cli.reproduce import join_lists
from darec.cli.searches import this_command
from darec.data.store import load, provenance
from darec.models import MODELS

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"
FILES = {name: JOBS / f"{name.replace('-', '_')}.py" for name in COMMANDS}


def run(name, *options, cwd=None):
    """Run a launcher of ``jobs/`` in a process of its own."""
    return subprocess.run(
        [sys.executable, str(FILES[name]), *map(str, options)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["jobs/tune.py"])

    def call(name, *options):
        return CliRunner().invoke(app_of(name), [*map(str, options)])

    return call


def test_every_command_has_a_launcher_and_no_other_file_is_there():
    assert {path.name for path in JOBS.glob("*.py")} == {path.name for path in FILES.values()}
    assert all(len(path.read_text().splitlines()) < 12 for path in FILES.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_v_and_q(name, invoke):
    ended = invoke(name, "--help")
    text = re.sub(r"\s+", " ", ended.stdout)
    assert ended.exit_code == 0 and all(
        option in text for option in ("-v, --verbose", "-q, --quiet", "--json")
    )
    assert f"Example: python jobs/{FILES[name].name} " in text


def test_the_help_of_tune_lists_every_model_with_a_line(invoke):
    assert list(ABOUT) == list(MODELS)
    lines = invoke("tune", "--help").stdout.splitlines()
    for name, told in ABOUT.items():
        assert any(line.split() == [name, *told.split()] for line in lines), name
    assert max(len(f"    {name:17}  {told}") for name, told in ABOUT.items()) <= 80


def test_the_help_of_tune_groups_its_options(invoke):
    text = invoke("tune", "--help").stdout
    headings = ["Options:", "Data and task:", "How to search:", "Budget and machines:"]
    assert re.findall(r"^[A-Z].*:$", text, re.MULTILINE)[-4:] == headings
    groups = re.split("|".join(f"^{each}$" for each in headings), text, flags=re.MULTILINE)[1:]
    for option, group in (("--trials", 0), ("--train", 1), ("--sampler", 2), ("--at-once", 3)):
        assert [f"  {option} " in each for each in groups].index(True) == group
    assert max(map(len, text.splitlines())) <= 80


def test_a_launcher_works_from_any_directory(tmp_path):
    ended = run("tune", "--help", cwd=tmp_path)
    assert ended.returncode == 0 and "Example:\n    python" in ended.stdout


def test_the_darec_command_lists_all_commands():
    command = [sys.executable, "-m", "darec", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert all(f" {name} " in ended.stdout for name in COMMANDS)
    assert " step " not in ended.stdout  # it is for darec itself
    command[-1:] = ["tune", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "Example:\n    python -m darec tune " in ended.stdout


def test_commands_import_nothing_heavy():
    heavy = "{'ray', 'torch', 'pandas', 'numpy', 'optuna', 'pydantic'}"
    code = f"import sys, darec.cli.main; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]", ended.stderr


API = {
    "tune": darec.search,
    "evaluate": darec.evaluate,
    "stack": darec.stack,
    "prepare": darec.prepare,
}
OF_THE_COMMAND = {
    *("model", "out", "data", "synthetic", "smoke_test", "verbose", "quiet", "as_json"),
    *("train", "task", "cold_share", "split", "models", "stack", "budget", "table"),
}
"""Options that say where a pair or result comes from, which the API is given as objects, and those
of several searches."""


@pytest.mark.parametrize("name", API)
def test_a_command_and_its_function_have_the_same_arguments_and_defaults(name):
    options = inspect.signature(COMMANDS[name]).parameters
    arguments = inspect.signature(API[name]).parameters
    shared = options.keys() & arguments.keys()
    assert options.keys() - shared <= OF_THE_COMMAND
    assert arguments.keys() - shared <= {"reporter", "result", "results"}
    same = {
        option
        for option in shared
        if str(options[option].default) == str(arguments[option].default)
        or options[option].default is inspect.Parameter.empty
    }
    otherwise_on_the_command_line = {
        *("train", "cold_share", "year", "gpus_per_trial", "model", "pair", "warm_start")
    }
    assert shared - same <= otherwise_on_the_command_line


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("prepare", [], "give either --pair"),
        ("prepare", ["--pair", "mine"], "--pair must be one of office_movies"),
        (
            "prepare",
            ["--pair", "toys_auto", "--synthetic", "--drop-twins"],
            "--drop-twins needs rating files",
        ),
        ("tune", ["--pair", "mine"], "no pair 'mine'"),
        ("tune", ["--pair", "mine", "--synthetic"], "Table 1"),
        ("tune", ["--pair", "toys_auto", "--synthetic", "--fix", "x"], "--fix: must be KEY=VALUE"),
        ("tune", ["--pair", "toys_auto", "--synthetic", "--fix", "x=1"], "no hyper-parameter 'x'"),
        ("tune", ["--pair", "toys_auto", "--synthetic", "--space", "no.py"], "--space no.py: "),
        (
            "tune",
            ["--pair", "toys_auto", "--synthetic", "--gpus-per-trial", "some"],
            "--gpus-per-trial must be a number or auto, but got 'some'",
        ),
        ("tune", ["--pair", "x", "--gpus-per-trial", "nan"], "--gpus-per-trial must be 0, a share"),
        ("tune", ["--pair", "x", "--gpus-per-trial", "inf"], "--gpus-per-trial must be 0, a share"),
        ("tune", ["--pair", "x", "--gpus-per-trial", "-1"], "--gpus-per-trial must be 0, a share"),
        ("tune", ["--pair", "x", "--cpus-per-trial", "inf"], "--cpus-per-trial must be a finite"),
        ("tune", ["--pair", "x", "--address", "head"], "--address must be auto, or HOST:PORT"),
        ("tune", ["--pair", "x", *(2 * ["--fix", "mu=1"])], "--fix: mu must be given once, but"),
        ("tune", ["--pair", "x", "--fix", "mu=null"], "--fix: DARecConfig.mu must be a valid"),
        ("tune", ["--pair", "x", "--fix", "hidden={}"], "--fix: hidden must have a value, but"),
        ("reproduce", ["fig2", "--gpus-per-trial", "inf"], "--gpus-per-trial must be 0, a share"),
        ("evaluate", ["--pair", "toys_auto", "--synthetic"], "no finished search here"),
        (
            "evaluate",
            ["--pair", "toys_auto", "--synthetic", "--task", "cold_users", "--model", "all"],
            "no finished search of toys_auto-synthetic-cold20",
        ),
        (
            "evaluate",
            ["--pair", "toys_auto", "--task", "cold_users", "--model", "i_darec"],
            "--task cold_users: i_darec cannot predict users without target ratings; these can: "
            "mean, bias, shared_bias, ",
        ),
        (
            "tune",
            ["--pair", "toys_auto", "--task", "cold_users", "--train", "80", "--model", "cmf"],
            "--train 80 needs --task warm; --task cold_users holds out users by --cold-share",
        ),
        (
            "tune",
            [
                "--pair",
                "toys_auto",
                "--split",
                "temporal",
                "--task",
                "cold_users",
                "--model",
                "cmf",
            ],
            "--split temporal needs --task warm, but got --task cold_users, which holds out",
        ),
        (
            "tune",
            ["--pair", "toys_auto", "--split", "file", "--train", "80"],
            "--train 80: with --split file the pair's split file decides",
        ),
        (
            "tune",
            ["--pair", "toys_auto", "--synthetic", "--split", "temporal"],
            "toys_auto-synthetic: --split temporal needs the time of each rating, but in the "
            "source no rating has one; prepare it from files with timestamps",
        ),
        (
            "tune",
            ["--pair", "toys_auto", "--synthetic", "--split", "file"],
            "toys_auto-synthetic: --split file: it was prepared without one; give --split-file",
        ),
        (
            "prepare",
            ["--pair", "toys_auto", "--synthetic", "--split-file", "split.csv"],
            "--split-file needs rating files",
        ),
        (
            "evaluate",
            ["--pair", "toys_auto", "--synthetic", "--split", "user-temporal", "--model", "all"],
            "no finished search of toys_auto-synthetic-90-user-temporal",
        ),
        (
            "fit",
            ["--pair", "toys_auto", "--cold-share", "50"],
            "--cold-share 50 needs --task cold_users",
        ),
        ("reproduce", ["table2", "--models", "svd"], "'svd'"),
        ("reproduce", ["table2", "--train", "70"], "--train must be 90 or 80, but got '70'"),
        ("reproduce", ["fig2", "--pairs", "mine"], "no pair 'mine'"),
        (
            "own-cluster",
            ["--hosts", "a,b", "--user", "ada", "--out", "results"],
            "--out must be an absolute path or a URI, but got 'results'",
        ),
        ("reproduce", ["fig2", "--models", "cmf u_darec"], "cmf"),
        ("reproduce", ["table2", "--train", ","], "--train"),
        (
            "evaluate",
            ["--pair", "toys_auto", "--model", "svd"],
            "--model must be one of mean, bias",
        ),
    ],
)
def test_bad_arguments_are_one_line(name, options, words, invoke, tmp_path):
    ended = invoke(name, *options)
    assert ended.exit_code == 1
    assert words in ended.stderr and ended.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("tune", f"--{name}") for name in ("time-budget", "cpus-per-trial", "trial-limit")),
        ("recommend", "--lower-bound"),
        ("reproduce", "--gpus-per-trial"),
    ],
)
@pytest.mark.parametrize("wrong", ["nan", "-1"])
def test_numbers_outside_of_a_range_are_refused(name, option, wrong, invoke):
    ended = invoke(name, option, wrong)
    assert ended.exit_code == 2 and f"Invalid value for '{option}'" in ended.stderr


@pytest.mark.parametrize(("option", "wrong"), [("--sampler", "grid"), ("--scheduler", "pbt")])
def test_choices_come_from_the_registries(option, wrong, invoke):
    ended = invoke("tune", "--pair", "toys_auto", option, wrong)
    assert ended.exit_code == 2 and f"'{wrong}' is not one of 'tpe', 'random'" in re.sub(
        r"[│\s]+", " ", ended.stderr
    ).replace("'asha', 'hyperband'", "'tpe', 'random'")


def test_bad_input_exits_with_1_from_a_launcher(tmp_path):
    ended = run("tune", "--pair", "mine", cwd=tmp_path)
    assert ended.returncode == 1 and ended.stderr.startswith("error: no pair 'mine'")
    assert ended.stderr.count("\n") == 1


def test_fixed_values_are_json_or_words():
    words = ["hidden=300", "reversal=false", "center=none", "mu=1e4", "autorec/alpha=0.5"]
    assert parse_fix(words) == {
        "hidden": 300,
        "reversal": False,
        "center": "none",
        "mu": 1e4,
        "autorec/alpha": 0.5,
    }


def test_a_stack_by_another_metric_is_refused_before_data_are_fetched(invoke):
    refused = invoke("tune", "--pair", "toys_auto", "--metric", "mae", "--stack")
    assert refused.exit_code == 1
    assert "--stack needs --metric rmse: it blends by RMSE, but got mae" in refused.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["jobs/tune.py", "--out", "tune", "--resume"], "python jobs/tune.py --out tune"),
        (["/usr/bin/darec", "tune", "--out", "a b"], "darec tune --out 'a b'"),
        (["/x/darec/__main__.py", "tune", "--out", "tune"], "python -m darec tune --out tune"),
    ],
)
def test_an_interrupted_command_is_reported_as_it_was_typed(argv, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    assert this_command() == words


def test_verbose_and_quiet_exclude_each_other(invoke):
    ended = invoke("prepare", "--pair", "toys_auto", "-v", "-q")
    assert ended.exit_code == 1 and "give either --verbose or --quiet" in ended.stderr


def test_lists_may_be_separated_by_blanks():
    words = ["reproduce", "all", "--pairs", "a", "b", "--train", "90", "80", "--plan"]
    joined = ["reproduce", "all", "--pairs", "a b", "--train", "90 80", "--plan"]
    assert join_lists(words) == joined
    assert join_lists(["--models", "cmf", "table2"]) == ["--models", "cmf", "table2"]


@pytest.mark.parametrize(
    ("argv0", "words"),
    [
        ("jobs/tune.py", "python jobs/own_cluster.py"),
        ("/home/ada/darec/jobs/tune.py", "python /home/ada/darec/jobs/own_cluster.py"),
        ("/usr/bin/darec", "darec own-cluster"),
        ("/x/darec/__main__.py", "python -m darec own-cluster"),
    ],
)
def test_the_next_command_is_reported_as_the_user_would_type_it(argv0, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [argv0])
    assert called("own-cluster") == words


def test_a_suggested_command_can_be_pasted():
    options = {"--out": "my results", "--user": "-5", "--synthetic": True, "--data": None}
    line = command_line("darec tune", {**options, "--fit": False}, "it's/model")
    assert line == "darec tune 'it'\"'\"'s/model' --out 'my results' --user=-5 --synthetic"
    words = ["darec", "tune", "it's/model", "--out", "my results", "--user=-5", "--synthetic"]
    assert shlex.split(line) == words


STOPPED = """
import signal
signal.signal(signal.SIGINT, {ignored})
from darec.cli.command import stop_on_sigterm
stop_on_sigterm()
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("ignored", ["signal.SIG_IGN", "signal.default_int_handler"])
def test_sigterm_stops_a_command_also_in_a_shells_background(ignored):
    code = STOPPED.format(ignored=ignored)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout == "stopped\n", ended.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="would run the benchmark of a GPU")
def test_the_gpu_section_needs_a_gpu(invoke):
    ended = invoke("benchmark", "--section", "gpu")
    assert ended.exit_code == 1 and "no CUDA device is available here" in ended.stderr


def test_prepare_own_files_and_use_them_by_name(invoke, tmp_path):
    rows = [(f"u{u}", f"{{}}{i}", 1 + (u + i) % 5) for u in range(8) for i in range(6)]
    for domain in ("source", "target"):
        lines = [f"{u},{item.format(domain)},{r}" for u, item, r in rows]
        (tmp_path / f"{domain}.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    files = ["--source", "source.csv", "--target", "target.csv"]
    ended = invoke("prepare", *files, "--name", "own")
    assert ended.exit_code == 0, ended.stderr
    assert "next: python jobs/tune.py --pair own" in ended.stdout
    pair = provenance(tmp_path / "data" / "pairs" / "own.zip")
    assert pair["selection"]["min_ratings"] == 5 and len(pair["source"][0]["sha256"]) == 64
    elsewhere = invoke("prepare", *files, "--name", "own", "--data", "my data")
    assert "next: python jobs/tune.py --pair own --data 'my data'" in elsewhere.stdout
    ended = invoke("evaluate", "--pair", "own", "--model", "bias")
    assert "results/own-90/bias/best.json: no finished search here" in ended.stderr
    quiet = invoke("prepare", *files, "--name", "own", "-q")
    assert quiet.exit_code == 0 and quiet.stdout == ""


def test_a_pair_that_is_too_small_to_divide_is_not_prepared(invoke, tmp_path):
    for name in "st":
        lines = [f"u0,{name}{i},{i + 1}" for i in range(3)]
        (tmp_path / name).write_text("\n".join(["user,item,rating", *lines]))
    ended = invoke(
        "prepare", *("--source", "s", "--target", "t", "--name", "own"), "--min-ratings=1"
    )
    told = "error: 3 source ratings of users of both domains are too few to divide into training"
    assert ended.exit_code == 1 and ended.stderr.startswith(told) and ended.stderr.count("\n") == 1
    assert not (tmp_path / "data" / "pairs" / "own.zip").exists()


def test_scales_are_reported_and_given(invoke, tmp_path):
    rows = [(u, i, (u + i) % 11) for u in range(8) for i in range(6)]
    for domain, shift in (("source", 0), ("target", -5)):
        lines = [f"u{u},{domain}{i},{2 * (r + shift)}" for u, i, r in rows]
        (tmp_path / f"{domain}.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    own = ["--source", "source.csv", "--target", "target.csv", "--name", "own"]
    found = invoke("prepare", *own)
    assert "source ratings lie on a scale of 0 to 20 (11 levels): these are the" in found.stdout
    assert "target ratings lie on a scale of -10 to 10 (11 levels)" in found.stdout
    given = ["--scale", "-10,20", "--target-scale", "-12,12", "--unrated", "-10"]
    ended = invoke("prepare", *own, *given, "--min-ratings", 3)
    assert ended.exit_code == 0, ended.stderr
    assert "source ratings lie on a scale of -10 to 20 (11 levels)" in ended.stdout
    assert "target ratings lie on a scale of -12 to 12 (10 levels)" in ended.stdout
    n = sum(r == 0 for _, _, r in rows)
    assert f"target: 45 of 48 rows are kept; of the others {n} mean not rated" in ended.stdout
    about = provenance(tmp_path / "data" / "pairs" / "own.zip")
    assert about["scales"]["target"] == {"low": -12.0, "high": 12.0}
    refused = invoke("prepare", *own, "--scale", "0,20")
    assert refused.exit_code == 1
    told = "target.csv, line 2, field rating: must lie from 0 to 20, but got -10; give another"
    assert told in " ".join(refused.stderr.split())
    wrong = invoke("prepare", *own, "--scale", "0-20")
    assert "--scale must be LOW,HIGH, two numbers, but got '0-20'" in wrong.stderr


def test_users_of_one_domain_are_kept_on_demand_and_counted(invoke, tmp_path):
    rows = [(u, i, 1 + (u + i) % 5) for u in range(8) for i in range(6)]
    for domain, users in (("source", range(7)), ("target", range(2, 8))):
        lines = [f"u{u},{domain}{i},{r}" for u, i, r in rows if u in users]
        (tmp_path / f"{domain}.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    files = ["--source", "source.csv", "--target", "target.csv", "--name", "own"]
    ended = invoke("prepare", *files, "--overlap", "all")
    assert ended.exit_code == 0, ended.stderr
    told = re.sub(r"\s+", " ", ended.stdout)
    assert "Users: 5 of both domains, 2 of the source alone and 1 of the target alone" in told
    path = tmp_path / "data" / "pairs" / "own.zip"
    assert provenance(path)["selection"]["overlap"] == "all" and len(load(path).user_ids) == 8
    assert invoke("prepare", *files).exit_code == 0
    assert provenance(path)["selection"]["overlap"] == "shared" and len(load(path).user_ids) == 5


def test_prepare_tells_of_copies_and_drops_them(invoke, tmp_path):
    """Each item of the source has a second edition with the same ratings; the target has none."""
    rng = np.random.default_rng(0)
    rows = [(u, i, rng.integers(1, 6)) for u in range(60) for i in range(30) if rng.random() < 0.4]
    lines = {letter: [f"u{u},{letter}{i},{r}" for u, i, r in rows] for letter in "abct"}
    for name, letters in (("copies", "ab"), ("plain", "c"), ("target", "t")):
        text = "\n".join(
            ["user,item,rating", *(row for letter in letters for row in lines[letter])]
        )
        (tmp_path / f"{name}.csv").write_text(text)
    command = ["prepare", "--target", "target.csv", "--name", "own", "--source"]
    told = invoke(*command, "copies.csv").stdout
    assert "note: 90% of the source's test ratings can be copied from a twin" in told
    assert "note: --drop-twins keeps one item" in told and "the target's test" not in told
    dropped = invoke(*command, "copies.csv", "--drop-twins").stdout
    said = f"copies of a twin: 30 source items with {len(rows)} ratings and 0 target items with 0"
    assert said in " ".join(dropped.split()) and "note:" not in dropped
    plain = invoke(*command, "plain.csv", "--drop-twins").stdout
    assert "Dropped no twins: in neither domain" in plain and "note:" not in plain
