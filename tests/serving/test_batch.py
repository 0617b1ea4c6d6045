"""Predictions and recommendations in chunks, of a small model that is easy to compute by hand."""

import gzip

import pandas as pd
import pytest

from darec.errors import UserError
from darec.reporter import LogReporter
from darec.serving import columns
from darec.serving.batch import predict_file, recommend_file
from darec.serving.columns import read_columns, read_titles
from tests.serving.standin import Model


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(columns, "BYTES_AT_ONCE", 24)
    monkeypatch.setattr(Model, "SCORES_AT_ONCE", 14)


def written(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


PAIRS = ["user,item", "u1,i2", "u2,i2", "new,i2", "u0,i0", "u6,none", "u1,i2", "u3,i4"]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_predictions_come_chunk_by_chunk_in_the_order_of_the_file(name, small_chunks, tmp_path):
    model, pairs, out = Model(), written(tmp_path / "pairs.csv", *PAIRS), tmp_path / name
    assert predict_file(model, pairs, out) == 7
    assert len(model.asked) >= 3 and sum(model.asked) == 7
    found = read(out)
    assert list(found.columns) == ["user", "item", "prediction"]
    assert [f"{user},{item}" for user, item in zip(found.user, found.item, strict=True)] == PAIRS[
        1:
    ]
    assert found.prediction.tolist() == [2.5, 3.0, 3.0, 1.0, 3.0, 2.5, 2.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "pairs.csv"]


def test_the_standard_deviation_is_one_more_column(tmp_path):
    pairs = written(tmp_path / "pairs.csv", *PAIRS[:3])
    predict_file(Model(), pairs, tmp_path / "out.csv", std=True)
    found = read(tmp_path / "out.csv")
    assert list(found.columns) == ["user", "item", "prediction", "std"]
    assert found["std"].tolist() == [0.25, 0.3]


def test_the_columns_may_have_other_names_and_places_and_the_file_may_be_gzipped(tmp_path):
    pairs = tmp_path / "pairs.tsv.gz"
    pairs.write_bytes(
        gzip.compress(b"n\titem_id:token\tuser_id:token\n8\ti2\tu1\n\n9\ti0\tu0\n", mtime=0)
    )
    predict_file(Model(), pairs, tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").values.tolist() == [["u1", "i2", 2.5], ["u0", "i0", 1.0]]


def test_pairs_may_be_a_parquet_file(monkeypatch, tmp_path):
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", 2)
    pairs, out, rows = tmp_path / "pairs.parquet", tmp_path / "o.csv", PAIRS[1:]
    named = [("user_id", "item"), *(row.split(",") for row in rows)]
    frame = pd.DataFrame(named[1:], columns=named[0])
    frame.assign(user_id=frame["user_id"].astype("category"), n=1).to_parquet(pairs)
    model = Model()
    assert predict_file(model, pairs, out) == 7 and model.asked == [2, 2, 2, 1]
    predict_file(Model(), written(tmp_path / "pairs.csv", *PAIRS), tmp_path / "same.csv")
    assert out.read_text() == (tmp_path / "same.csv").read_text()
    with pytest.raises(UserError, match=r"pairs.parquet, row 3: the model must know the user, but"):
        predict_file(model, pairs, out, unknown="raise")
    frame.loc[4, "item"] = None
    frame.to_parquet(pairs)
    with pytest.raises(UserError, match=r"pairs.parquet, row 5: the item must not be empty"):
        predict_file(model, pairs, out)
    frame.assign(user_id=1e15).to_parquet(pairs)
    with pytest.raises(UserError, match=r"user ids must be text or whole numbers, but are double"):
        predict_file(model, pairs, out)
    frame[["item"]].to_parquet(pairs)
    with pytest.raises(UserError, match=r"must have a header that names the columns user and item"):
        predict_file(model, pairs, out)
    pairs.write_bytes(pairs.read_bytes()[:-9])
    with pytest.raises(UserError, match="must be a whole Parquet file"):
        predict_file(model, pairs, out)


def test_a_file_without_pairs_has_no_predictions(tmp_path):
    assert predict_file(Model(), written(tmp_path / "a.csv", PAIRS[0]), tmp_path / "o.parquet") == 0
    assert read(tmp_path / "o.parquet").empty


def test_ids_with_commas_quotes_and_line_breaks_come_back_as_they_were(tmp_path):
    pairs = tmp_path / "pairs.csv"
    ids = ["a,b", 'c"d', "é\n", "=1+1", " x "]
    pd.DataFrame({"user": ids, "item": ids[::-1]}).to_csv(pairs, index=False)
    predict_file(Model(), pairs, tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").user.tolist() == ids


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "pairs.csv: must have a header that names the columns user and item, but is empty"),
        (["u1,i1"], "line 1: must have a header that names the columns user and item"),
        (
            [*PAIRS, "u1,i1,4"],
            "line 9: must have 2 columns as the header has, but got 3",
        ),
        ([*PAIRS, "u1,"], "line 9: the item must not be empty"),
        ([*PAIRS, ",i1"], "line 9: the user must not be empty"),
        ([*PAIRS, '"u1,i1'], "line 9: must have 2 columns as the header has, but got 1"),
    ],
)
def test_a_bad_line_is_reported_before_anything_is_predicted(lines, words, small_chunks, tmp_path):
    model, pairs, out = Model(), written(tmp_path / "pairs.csv", *lines), tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(UserError, match=words):
        predict_file(model, pairs, out)
    assert not model.asked and out.read_text() == "old" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"user,item\nu1,i2\nu\xff,i1\n", "line 3: must be UTF-8 text, but has the byte 0xff"),
        (gzip.compress(b"user,item\n" + b"u1,i2\n" * 9, mtime=0)[:-9], "truncated or damaged"),
    ],
)
def test_a_damaged_file_is_one_line(content, words, tmp_path):
    (tmp_path / "pairs").write_bytes(content)
    with pytest.raises(UserError, match=words):
        predict_file(Model(), tmp_path / "pairs", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,i1", "line 5: the model must know the user, but has no 'x'; --unknown cold"),
        ("u1,y", "line 5: the model must know the item, but has no 'y'; --unknown cold"),
    ],
)
def test_an_unknown_id_is_reported_with_its_line_if_asked(row, words, small_chunks, tmp_path):
    known = ["user,item", "u1,i2", "u2,i2", "u0,i0"]
    pairs = written(tmp_path / "pairs.csv", *known, row)
    with pytest.raises(UserError, match=words):
        predict_file(Model(), pairs, tmp_path / "out.csv", unknown="raise")
    written(pairs, *known)
    assert predict_file(Model(), pairs, tmp_path / "out.csv", unknown="raise") == 3


def test_the_plan_says_how_many_pairs_are_unknown(small_chunks, tmp_path, caplog):
    caplog.set_level("INFO", "darec")
    pairs = written(tmp_path / "pairs.csv", *PAIRS)
    predict_file(Model(), pairs, tmp_path / "out.csv", reporter=LogReporter())
    assert "Plan: 7 pairs of" in caplog.text and "2 of them with a user or item" in caplog.text
    assert "predict: 3 of 3" in caplog.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.xlsx", "--out must end in .parquet or .csv, but got .*out.xlsx"),
        ("folder.csv", "--out must be a file, but .*folder.csv is a folder"),
        ("x/../pairs.csv", "--out must be another file than the one that is read"),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_first(name, words, tmp_path):
    pairs, model = written(tmp_path / "pairs.csv", *PAIRS), Model()
    (tmp_path / "folder.csv").mkdir(), (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match=words):
        predict_file(model, pairs, tmp_path / name)
    assert not model.asked and pairs.read_text().startswith("user,item\n")


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_recommendations_are_written_for_some_users_at_a_time(name, small_chunks, tmp_path, caplog):
    caplog.set_level("INFO", "darec")
    model, out, titles = Model(), tmp_path / name, {"i0": "Sam, the cat", "i9": "other"}
    users = list(model.user_ids.ids)
    assert recommend_file(model, users, out, n=2, titles=titles, reporter=LogReporter()) == 14
    assert model.asked == [2, 2, 2, 1] and "recommend: 4 of 4" in caplog.text
    found = read(out)
    assert list(found.columns) == ["user", "item", "score", "rank", "title"]
    assert found.user.tolist() == [user for user in users for _ in range(2)]
    assert found.item.tolist() == ["i0", "i1"] * 7 and found["rank"].tolist() == [1, 2] * 7
    assert found.score.tolist() == [5.0, 4.0] * 7
    assert found.title.fillna("-").tolist() == ["Sam, the cat", "-"] * 7
    assert recommend_file(model, ["u3"], out, n=1, exclude_seen=False) == 1
    assert read(out).values.tolist() == [["u3", "i0", 4.0, 1]]


def test_an_interruption_leaves_the_old_file(small_chunks, tmp_path, monkeypatch):
    model, out = Model(), tmp_path / "out.parquet"
    recommend_file(model, ["u0"], out)
    old = out.read_bytes()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "recommend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recommend_file(model, ["u1"], out)
    assert out.read_bytes() == old and list(tmp_path.iterdir()) == [out]


def test_titles_are_read_by_item(tmp_path):
    titles = written(tmp_path / "titles.csv", "Title,x,ITEM", 'a "b",1,i1', ",2,i2", 'a "b",3,i1')
    assert read_titles(titles) == {"i1": 'a "b"'}
    written(titles, "item,title", "i1,a", "i2,b", "i1,c")
    with pytest.raises(UserError, match=r"titles.csv, line 4: item 'i1' must have one title"):
        read_titles(titles)
    with pytest.raises(UserError, match=r"none.csv: no such file"):
        read_titles(tmp_path / "none.csv")


def test_cells_come_in_the_order_asked_for(tmp_path):
    path = written(tmp_path / "a.csv", "b,a", "1,2")
    assert list(read_columns(path, "a", "b")) == [(f"{path}, line 2", ["2", "1"])]
