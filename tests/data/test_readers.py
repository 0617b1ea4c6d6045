import gzip
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darec.data.readers import read_ratings
from darec.errors import UserError

ROWS = [("A1AAAAAAAAAAAA", "B000000001", 5.0, 10), ("A2AAAAAAAAAAAA", "0767803434", 3.0, 20)]
FILES = {
    "2014.csv": "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in ROWS),
    "2018.csv": "".join(f"{i},{u},{r},{t}\n" for u, i, r, t in ROWS),
    "2023.csv": "user_id,parent_asin,rating,timestamp\n"
    + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in ROWS),
    "x.inter": "item_id:token\tuser_id:token\trating:float\ttimestamp:float\n"
    + "".join(f"{i}\t{u}\t{r}\t{t}\n" for u, i, r, t in ROWS),
    "plain.tsv": "rating\tuser\titem\n" + "".join(f"{r}\t{u}\t{i}\n" for u, i, r, _ in ROWS),
    "quoted.csv": '"user","item","rating","note"\n'
    + "".join(f'"{u}","{i}",{r},"a, b"\n' for u, i, r, _ in ROWS),
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_layout_is_recognised(tmp_path, name, zipped):
    path = tmp_path / name
    content = FILES[name].encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    raw = read_ratings(path)
    got = zip(raw.user_ids[raw.users], raw.item_ids[raw.items], raw.values, strict=True)
    assert list(got) == [row[:3] for row in ROWS]
    has_time = name not in ("plain.tsv", "quoted.csv")
    assert raw.times.tolist() == ([10, 20] if has_time else [0, 0])


def test_a_forced_layout_wins(tmp_path):
    path = tmp_path / "2018.csv"
    path.write_text(FILES["2018.csv"])
    assert "B000000001" in read_ratings(path, "amazon2014").user_ids


GOOD = "A1AAAAAAAAAAAA,B000000001,5.0,10\n"
BAD = {
    "empty file": (b"", ["empty"]),
    "header only": (b"user,item,rating\n", ["empty"]),
    "columns": ((GOOD + "u,i,3\n").encode(), ["line 2", "4 columns", "got 3"]),
    "first line": (b"a,b\n", ["line 1", "2 columns"]),
    "header without item": (b"user,rating,x\n1,2,3\n", ["line 1", "header"]),
    "not a number": ((GOOD + "u,i,five,1\n").encode(), ["line 2", "rating", "number", "five"]),
    "nan": ((GOOD * 2 + "u,i,nan,1\n").encode(), ["line 3", "rating", "[1, 5]", "nan"]),
    "range": ((GOOD + "u,i,6,1\n").encode(), ["line 2", "rating", "[1, 5]", "'6'"]),
    "no user": ((GOOD + ",i,3,1\n").encode(), ["line 2", "user", "empty"]),
    "no item": (b"user,item,rating\nu,i,3\nu,,3\n", ["line 3", "item", "empty"]),
    "no rating": ((GOOD + "u,i,,1\n").encode(), ["line 2", "rating", "number"]),
    "timestamp": ((GOOD + "u,i,3,now\n").encode(), ["line 2", "time", "number", "now"]),
    "cut gzip": (gzip.compress(GOOD.encode() * 5000)[:-20], ["gzip", "complete"]),
    "binary": (bytes(range(256)) * 4, ["text"]),
    "latin-1": ((GOOD + "\xe9,i,3,1\n").encode("latin-1"), ["UTF-8"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_naming_file_place_rule_and_value(tmp_path, name):
    content, words = BAD[name]
    path = tmp_path / "ratings.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_ratings(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_ratings(tmp_path / "nowhere.csv")


HEAD, MIB = b"user,item,rating\nu,i,3\n", 2**20
ENDLESS = {
    "first line": lambda size: b"a" * size,
    "later line": lambda size: HEAD + b"a" * size,
    "open quote": lambda size: HEAD + b'"' + b"a\n" * (size // 2),
    "quoted lines": lambda size: HEAD + b'"a\n",' * (size // 5),
    "commas": lambda size: HEAD + b"," * size,
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_row_that_does_not_end_is_refused_before_it_fills_the_memory(tmp_path, kind):
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(ENDLESS[kind](32 * MIB), 1))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"at most 1048576 characters|larger than") as caught:
            read_ratings(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    assert f"{path}, line " in str(caught.value)


def test_a_message_repeats_only_the_beginning_of_a_long_row(tmp_path):
    path = tmp_path / "ratings.csv"
    for bad in (b"u,i,3," + b"x" * 50_000, b"u,i," + b"9" * 50_000, b"u,i,3" + b",x" * 50_000):
        path.write_bytes(HEAD + bad + b"\n")
        with pytest.raises(UserError, match=r"line 3.*\.\.\. \(\d+ characters\)$") as caught:
            read_ratings(path)
        assert len(str(caught.value)) < len(str(path)) + 400


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_arbitrary_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        raw = read_ratings(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert len(raw) and np.isfinite(raw.values).all()


def test_the_command_exits_with_one_line_and_leaves_nothing(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(GOOD + "u,i,9,1\n")
    job = Path(__file__).parents[2] / "jobs" / "prepare.py"
    files = ["--source", str(bad), "--target", str(bad), "--name", "own"]
    data = tmp_path / "data"
    ended = subprocess.run(
        [sys.executable, str(job), *files, "--data", str(data)], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and "line 2, field rating" in ended.stderr
    assert not data.exists()
