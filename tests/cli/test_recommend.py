"""``darec predict`` and ``darec recommend`` as a user types them, with a model of a few users."""

import json
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

import darec
from darec.cli.main import app_of
from darec.errors import UserError
from tests.serving.standin import Model


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Run a command with the model ``m``, in an empty folder."""

    def load(path):
        if str(path) != "m":
            raise UserError(f"{path}: no model is here")
        return Model()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["darec"])
    monkeypatch.setattr(darec, "load", load)
    return lambda *words: CliRunner().invoke(app_of(words[0]), list(words[1:]))


def test_predict_writes_a_file_and_names_the_next_command(invoke, tmp_path):
    (tmp_path / "pairs.csv").write_text("user,item\nu1,i2\nnew,i1\n")
    ended = invoke("predict", "m", "pairs.csv", "-o", "out.csv")
    assert ended.exit_code == 0, ended.stderr
    plan, written, following = ended.stdout.splitlines()
    assert plan.startswith("Plan: 2 pairs of pairs.csv, 1 of them with a user or item that")
    assert written == "written: out.csv"
    assert following == "next:    darec recommend m --user ID"
    assert pd.read_csv("out.csv").prediction.tolist() == [2.5, 3.0]
    assert invoke("predict", "m", "pairs.csv", "-o", "out.csv", "--std").exit_code == 0
    assert pd.read_csv("out.csv")["std"].tolist() == [0.25, 0.3]


def test_recommend_prints_a_table_for_each_user(invoke, tmp_path, caplog):
    (tmp_path / "titles.csv").write_text("item,title\ni0,Sam [the cat]\n")
    users = ("--user", "u1", "--user", "new")
    ended = invoke("recommend", "m", *users, "--top", "2", "--titles", "titles.csv")
    assert ended.exit_code == 0, ended.stderr
    words = " ".join(ended.stdout.split())
    assert "u1" in words and "new" in words and words.count("Sam [the cat]") == 2
    assert words.count("5.000") == 2 and words.count("4.000") == 2 and "nan" not in words
    assert ended.stdout.splitlines()[-1] == "next:    darec serve m"
    (warned,) = caplog.messages
    assert warned.startswith("user 'new': not in the model's data, so that the cold policy ranks")


def test_recommend_prints_json_and_nothing_else(invoke, tmp_path):
    (tmp_path / "titles.csv").write_text("item,title\ni0,Zo\u00eb/1\n")
    ended = invoke(
        "recommend", "m", "--user", "u1", "--top", "2", "--titles", "titles.csv", "--json"
    )
    assert ended.exit_code == 0 and not ended.stderr
    assert json.loads(ended.stdout)["results"] == [
        {"user": "u1", "item": "i0", "score": 5.0, "rank": 1, "title": "Zo\u00eb/1"},
        {"user": "u1", "item": "i1", "score": 4.0, "rank": 2, "title": None},
    ]
    seen = invoke("recommend", "m", "--user", "u1", "--top", "1", "--include-seen", "--json")
    assert json.loads(seen.stdout)["results"] == [
        {"user": "u1", "item": "i0", "score": 4.0, "rank": 1}
    ]
    safe = invoke("recommend", "m", "--user", "u1", "--top", "1", "--lower-bound", "2", "--json")
    assert json.loads(safe.stdout)["results"][0]["score"] == 3.0


def test_recommend_writes_some_users_or_all(invoke):
    ended = invoke("recommend", "m", "--all-users", "-o", "out.parquet", "--top", "3")
    assert ended.exit_code == 0, ended.stderr
    assert "Plan: the top 3 of 5 items for 7 users\nwritten: out.parquet\n" in ended.stdout
    assert pd.read_parquet("out.parquet").user.nunique() == 7
    assert invoke("recommend", "m", "--user", "u5", "-o", "out.csv").exit_code == 0
    assert set(pd.read_csv("out.csv").user) == {"u5"}
    quiet = invoke("recommend", "m", "--user", "u5", "-o", "out.csv", "-q")
    assert quiet.exit_code == 0 and quiet.stdout == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["m"], "give either --user ID, once or several times, or --all-users"),
        (["m", "--user", "u1", "--all-users"], "give either --user ID, once or several times, or"),
        (["m", "--all-users"], "--all-users needs a file to write: -o top.parquet"),
        (["m", "--user", "u1", "--address", "auto"], "--address is for --all-users"),
        (["m", "--user", "u1", "-o", "o.txt"], "--out must end in .parquet or .csv, but got o.txt"),
        (["m", "--user", "u1", "--titles", "none.csv"], "none.csv: no such file"),
        (["other", "--user", "u1"], "other: no model is here"),
    ],
)
def test_bad_options_are_one_line(words, told, invoke, tmp_path):
    ended = invoke("recommend", *words)
    assert ended.exit_code == 1 and f"error: {told}" in ended.stderr
    assert ended.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_bad_file_of_pairs_is_one_line(invoke, tmp_path):
    (tmp_path / "pairs.csv").write_text("user,item\nu1\n")
    ended = invoke("predict", "m", "pairs.csv", "-o", "out.csv")
    assert ended.exit_code == 1 and not (tmp_path / "out.csv").exists()
    assert ended.stderr == (
        "error: pairs.csv, line 2: must have 2 columns as the header has, but got 1: ['u1']\n"
    )
