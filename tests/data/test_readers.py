import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darec.data.layouts import ReadOptions
from darec.data.readers import read_ratings
from darec.errors import UserError

ROWS = [("A1AAAAAAAAAAAA", "B000000001", 5.0, 10), ("A2AAAAAAAAAAAA", "0767803434", 3.0, 20)]


def table(head, row, separator=","):
    """Return a file's text: a header, unless it is empty, and a row for each rating."""
    lines = [row.format(u=u, i=i, r=r, t=t) for u, i, r, t in ROWS]
    return "\n".join([*head.splitlines(), *(line.replace(",", separator) for line in lines)]) + "\n"


FOUR, THREE = "{u},{i},{r},{t}", "{u},{i},{r}"
FILES = {
    "amazon 2014.csv": table("", FOUR),
    "amazon 2018.csv": table("", "{i},{u},{r},{t}"),
    "amazon 2023.csv": table(
        "rating,title,asin,parent_asin,user_id,timestamp", "{r},x,red,{i},{u},{t}"
    ),
    "amazon customer reviews.tsv": table(
        "marketplace\tcustomer_id\treview_id\tproduct_id\tproduct_parent\tproduct_title\tstar_rating"
        "\treview_date",
        "US,{u},R1,{i},7,A title,{r},1970-01-01T00:00:{t}",
        "\t",
    ),
    "fine food.csv": table(
        "Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,Score,Time,Summary",
        '1,{i},{u},"Al ""B""",0,{r},{t},"good; or not"',
    ),
    "movielens latest.csv": table("userId,movieId,rating,timestamp", FOUR),
    "movielens 1m.dat": table("", FOUR, "::"),
    "movielens 100k.data": table("", FOUR, "\t"),
    "movietweetings.dat": table("", FOUR, "::"),
    "book-crossing.csv": table('"User-ID";"ISBN";"Book-Rating"', '"{u}","{i}","{r}"', ";"),
    "goodreads.csv": table("user_id,book_id,is_read,rating,is_reviewed", "{u},{i},1,{r},0"),
    "yelp.csv": table(
        "review_id,user_id,business_id,stars,date", "x,{u},{i},{r},1970-01-01 00:00:{t}"
    ),
    "anime.csv": table("user_id,anime_id,rating", THREE),
    "steam.csv": table("app_id,helpful,date,rating,user_id", "{i},0,1970-01-01T00:00:{t}Z,{r},{u}"),
    "douban.tsv": table("UID\tiid\trating\tlabels\ttime", "{u},{i},{r},x,{t}", "\t"),
    "epinions.txt": table("", "  {u}  ,{i} ,{r}", " "),
    "beers.csv": table(
        "brewery_id,review_time,review_overall,review_profilename,beer_beerid", "1,{t},{r},{u},{i}"
    ),
    "recbole.inter": table(
        "item_id:token\tuser_id:token\trating:float\ttimestamp:float", "{i},{u},{r},{t}", "\t"
    ),
    "three columns.tsv": table("", THREE, "\t"),
    "bars.csv": table("user|item|rating", THREE, "|"),
    "any order.tsv": table("rating\tuser\titem", "{r},{u},{i}", "\t"),
    "quoted.csv": table('"user","item","rating","note"', '"{u}","{i}",{r},"a, b"'),
    "quoted lines.csv": table("user,item,rating,note", '{u},{i},{r},"one\n\ntwo"'),
    "a mark and quotes.csv": "\ufeff" + table('"user","item","rating"', THREE),
    "blank lines.csv": "\n\n" + table("User ID, Item ID ,Rating,Time stamp", FOUR) + "\n\n",
    "lines of blanks.csv": "  \n" + table("user,item,rating", THREE + "\n   ") + "  \r\n",
    "excel again.csv": table("sep=,,,\nuser,item,rating", THREE),
    "excel.csv": table("sep=;\nuser;item;rating", THREE, ";"),
    "windows.csv": table("user,item,rating", THREE).replace("\n", "\r\n"),
    "no line end.csv": table("user,item,rating", THREE).rstrip("\n"),
    "decimal commas.csv": table("user;item;rating", "{u};{i};{r:.0f}.0").replace(".", ","),
    "in words.csv": table("user,item,stars", "{u},{i},{r} out of 5 stars"),
    "reviews.json": table(
        "", '{{"reviewerID": "{u}","asin": "{i}","overall": {r},"unixReviewTime": {t}}}'
    ),
    "yelp.json": table(
        "",
        '{{"user_id": "{u}","business_id": "{i}","stars": {r},"date": "1970-01-01 00:00:{t}",'
        '"useful": 0,"text": "a \\"b\\""}}',
    ),
    "amazon 2023.jsonl": table(
        "",
        '{{"rating": {r},"images": [{{"a": 1}}],"asin": "red","parent_asin": "{i}",'
        '"user_id": "{u}","timestamp": {t}}}',
    ),
}
WITH_TIME = {name for name, text in FILES.items() if any(f"{t}" in text for *_, t in ROWS)}


def pack_zip(content):
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("__MACOSX/._ratings.csv", b"x")
        archive.writestr("folder/ratings.csv", content)
    return packed.getvalue()


def pack_zstd(content):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKED = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": pack_zip,
    "zstd": pack_zstd,
    "gz in gz": lambda content: gzip.compress(gzip.compress(content)),
    "gz in zip": lambda content: pack_zip(gzip.compress(content)),
}


def rows_of(raw):
    return list(zip(raw.user_ids[raw.users], raw.item_ids[raw.items], raw.values, strict=True))


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_field_are_recognised(tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name], newline="")
    raw = read_ratings(path)
    assert rows_of(raw) == [row[:3] for row in ROWS]
    if name in WITH_TIME:
        assert raw.times.tolist() == [10, 20]
    else:
        assert np.isnan(raw.times).all() and raw.notes[0].endswith("no times")


@pytest.mark.parametrize("packed", PACKED)
def test_files_may_be_packed(tmp_path, packed):
    path = tmp_path / "ratings"
    for name in ("movielens 1m.dat", "book-crossing.csv", "reviews.json"):
        path.write_bytes(PACKED[packed](FILES[name].encode()))
        assert rows_of(read_ratings(path)) == [row[:3] for row in ROWS]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "cp1252", "utf-8-sig"])
def test_other_encodings_are_read_when_marked_or_named(tmp_path, encoding):
    path = tmp_path / "ratings.csv"
    path.write_bytes("user,item,rating\nJosé,æ,4\n".encode(encoding))
    marked = encoding in ("utf-16", "utf-8-sig")
    options = ReadOptions(encoding=None if marked else encoding)
    assert rows_of(read_ratings(path, options)) == [("José", "æ", 4.0)]


def test_json_values_may_be_of_any_type_and_of_several(tmp_path):
    path = tmp_path / "ratings.jsonl"
    path.write_text(
        '{"user": 7, "item": "a", "rating": 4, "time": 10}\n'
        '{"user": "x", "item": 12345678901234567890, "rating": "4.5", "time": "20"}\n'
        '{"user": "x", "item": "b", "rating": true, "time": null}\n'
    )
    raw = read_ratings(path)
    assert rows_of(raw) == [("7", "a", 4.0), ("x", "12345678901234567890", 4.5), ("x", "b", 1.0)]
    assert raw.times[:2].tolist() == [10, 20] and np.isnan(raw.times[2])
    path.write_text(
        '{"user": 7, "item": 1, "rating": 4.5}\n' * 300 + '{"user":8,"item":[],"rating":1}'
    )
    with pytest.raises(UserError, match=r"line 301, field item: must be a number or text, but got"):
        read_ratings(path)


def test_parquet_has_any_types_that_mean_the_same(tmp_path):
    path = tmp_path / "ratings.parquet"
    times = [datetime(1970, 1, 1, 0, 0, t, tzinfo=UTC) for *_, t in ROWS]
    users, items, ratings, _ = zip(*ROWS, strict=True)
    for kind in ("float64", "int8", "string"):
        frame = pd.DataFrame({"parent_asin": items, "user_id": users, "rating": ratings})
        frame["rating"] = frame["rating"].astype(kind)
        frame.assign(user_id=frame["user_id"].astype("category"), date=times).to_parquet(path)
        raw = read_ratings(path)
        assert rows_of(raw) == [row[:3] for row in ROWS] and raw.times.tolist() == [10, 20]
    pd.DataFrame({"user": [7, 8], "item": [1, 2], "rating": [4, None]}).to_parquet(path)
    with pytest.raises(UserError, match=r"parquet, row 2, field rating: must be a number"):
        read_ratings(path)
    frame.rename(columns={"parent_asin": "thing"}).to_parquet(path)
    with pytest.raises(UserError, match=r"column for the item.*'thing'.*--columns item=NAME"):
        read_ratings(path)
    assert len(read_ratings(path, ReadOptions(columns={"item": "thing"}))) == 2
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="must be a whole Parquet file"):
        read_ratings(path)


def test_a_file_in_several_parts_is_read_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("darec.data.parquet.ROWS", 2)
    monkeypatch.setattr("darec.data.json_lines.AT_ONCE", 100)
    rows = [(f"u{k % 3}", k % 5, float(1 + k % 4), None if k in (2, 3) else k) for k in range(9)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    frame["timestamp"] = frame["timestamp"].astype("Int64")  # no times at all in a part
    frame.to_parquet(tmp_path / "r.parquet")
    frame.to_json(tmp_path / "r.jsonl", orient="records", lines=True)
    for name in ("r.parquet", "r.jsonl"):
        raw = read_ratings(tmp_path / name)
        assert rows_of(raw) == [(user, str(item), rating) for user, item, rating, _ in rows]
        assert sorted(raw.user_ids) == ["u0", "u1", "u2"] and len(raw.item_ids) == 5
        np.testing.assert_array_equal(raw.times, [0, 1, np.nan, np.nan, 4, 5, 6, 7, 8])
    nanoseconds = 1_400_000_000_123_456_789 + 10**9 * frame["timestamp"].fillna(0).astype("int64")
    frame.assign(timestamp=nanoseconds).to_parquet(tmp_path / "ns.parquet")
    frame.assign(timestamp=nanoseconds).to_json(tmp_path / "ns.jsonl", orient="records", lines=True)
    for name in ("ns.parquet", "ns.jsonl"):
        assert read_ratings(tmp_path / name).times[4] == pytest.approx(1_400_000_004.123456)
    with (tmp_path / "r.jsonl").open("a") as file:
        file.write('{"user": 7, "item": 1, "rating": 4.5}\n')  # of another type, in the last part
    raw = read_ratings(tmp_path / "r.jsonl")
    assert rows_of(raw)[-1] == ("7", "1", 4.5) and len(raw) == 10


def test_several_files_and_folders_are_one(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "b.csv").write_text("user,item,rating\nu2,x,2\nu1,z,3\n")
    (folder / "a.jsonl").write_text('{"user": "u1", "item": "x", "rating": 1}\n')
    (folder / ".hidden").write_text("no ratings")
    raw = read_ratings(folder)
    expected = [("u1", "x", 1.0), ("u2", "x", 2.0), ("u1", "z", 3.0)]
    assert rows_of(raw) == expected and len(raw.notes) == 2
    assert raw.place(2) == f"{folder / 'b.csv'}, line 3"
    assert rows_of(read_ratings([folder / "a.jsonl", folder / "b.csv"])) == expected
    with pytest.raises(UserError, match="each file of a domain must be named once"):
        read_ratings([folder, folder / "b.csv"])
    (folder / "c.csv").write_text("user,item,rating\nu,i,many\n")
    with pytest.raises(UserError, match=r"c.csv, line 2, field rating"):
        read_ratings(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="must have a file, but is empty"):
        read_ratings(empty)


def test_what_is_said_goes_before_what_is_recognised(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(FILES["amazon 2018.csv"])
    assert "B000000001" in read_ratings(path, ReadOptions("amazon2014")).user_ids
    by_number = ReadOptions(columns={"user": "2", "item": "1", "rating": "3", "time": "none"})
    raw = read_ratings(path, by_number)
    assert rows_of(raw) == [row[:3] for row in ROWS] and np.isnan(raw.times).all()
    path.write_text("who,what,how much,user\na,b,3,x\n")
    named = ReadOptions(columns={"user": "who", "item": "what", "rating": "how much"})
    raw = read_ratings(path, named)
    assert rows_of(raw) == [("a", "b", 3.0)]
    assert raw.notes == (
        f"{path}: user = 'who' (not 'user'), item = 'what', rating = 'how much', no times",
    )
    path.write_text("user~item~rating\na~b~3\n")
    assert rows_of(read_ratings(path, ReadOptions(delimiter="~"))) == [("a", "b", 3.0)]


@pytest.mark.parametrize(
    "header,row,expected",
    [
        ("user,user_id,item_id,rating", "Alex,u1,i1,4", "user = 'user_id'"),
        ("asin,parent_asin,user,rating", "red,i1,u1,4", "item = 'parent_asin'"),
        ("reviewerName,reviewerID,item,rating", "Alex,u1,i1,4", "user = 'reviewerID'"),
        ("title,product,product_id,user,rating", "x,y,i1,u1,4", "item = 'product_id'"),
    ],
)
def test_of_two_columns_the_id_goes_before_the_name(tmp_path, header, row, expected):
    path = tmp_path / "ratings.csv"
    for text in (
        f"{header}\n{row}\n",
        json.dumps(dict(zip(*map(split, (header, row)), strict=True))),
    ):
        path.write_text(text)
        raw = read_ratings(path)
        assert expected in raw.notes[0] and rows_of(raw) == [("u1", "i1", 4.0)]


def split(line):
    return line.split(",")


@pytest.mark.parametrize(
    "header", ["user,item,rating,score", "user,user,item,rating", "uid,user_id,item,rating"]
)
def test_two_columns_of_one_kind_must_be_told_apart(tmp_path, header):
    path = tmp_path / "ratings.csv"
    path.write_text(f"{header}\n1,2,3,4\n")
    with pytest.raises(UserError, match=r"line 1: both '\w+' and '\w+' may be the (user|rating)"):
        read_ratings(path)


GOOD = "A1AAAAAAAAAAAA,B000000001,5.0,10\n"
BAD = {
    "empty file": (b"", ["empty"]),
    "header only": (b"user,item,rating\n", ["empty"]),
    "blank lines only": (b"\n\n  \n", ["empty"]),
    "columns": ((GOOD + "u,i,3\n").encode(), ["line 2", "4 columns", "got 3"]),
    "first line": (b"a,b\n", ["line 1", "2 columns"]),
    "header without item": (b"user,rating,x\n1,2,3\n", ["line 1", "header", "--columns item=NAME"]),
    "unknown name of four": (
        b"user_id,thing,rating,timestamp\n1,2,3,4\n",
        ["line 1", "name the item", "'thing'", "--columns item=NAME"],
    ),
    "many columns": (b"1,2,3,4,5\n", ["line 1", "3 or 4 cells", "5 columns", "--columns user=1"]),
    "not a number": ((GOOD + "u,i,five,1\n").encode(), ["line 2", "rating", "number", "five"]),
    "nan": ((GOOD * 2 + "u,i,nan,1\n").encode(), ["line 3", "rating", "number", "nan"]),
    "infinite": ((GOOD * 2 + "u,i,inf,1\n").encode(), ["line 3", "rating", "number", "inf"]),
    "no user": ((GOOD + ",i,3,1\n").encode(), ["line 2", "user", "empty"]),
    "tabs alone": (b"user\titem\trating\nu\ti\t3\n\t\t\n", ["line 3, field user", "empty"]),
    "no item": (b"user,item,rating\nu,i,3\nu,,3\n", ["line 3", "item", "empty"]),
    "no rating": ((GOOD + "u,i,,1\n").encode(), ["line 2", "rating", "number"]),
    "timestamp": ((GOOD + "u,i,3,now\n").encode(), ["line 2", "time", "number", "now"]),
    "date": ((GOOD + "u,i,3,2020-13-40\n").encode(), ["line 2", "time=none", "2020-13-40"]),
    "cut gzip": (gzip.compress(GOOD.encode() * 5000)[:-20], ["complete", "truncated"]),
    "cut xz": (lzma.compress(GOOD.encode() * 5000)[:-20], ["complete", "truncated"]),
    "binary": (bytes(range(256)) * 4, ["text"]),
    "latin-1": ((GOOD + "\xe9,i,3,1\n").encode("latin-1"), ["line 2", "0xe9", "latin-1"]),
    "late latin-1": ((GOOD * 9999 + "\xe9,i,3,1\n").encode("latin-1"), ["line 10000", "0xe9"]),
    "open quote": (b'user,item,rating\nu,i,3\n"u,j,3\nu,k,3\n', ["line 3", "quote"]),
    "open quote and another": (b'user,item,rating\nu,"i,3\nu,"j",3\n', ["line 2", "quote"]),
    "text behind a quote": (b'user,item,rating\nu,i,3\n"u"x,j,3\n', ["line 3", "quote"]),
    "row of a quoted line": (b'user,item,rating,x\nu,i,3,"a\nb"\nu,i\n', ["line 4", "4 columns"]),
    "bad rating behind lines": (b'user,item,x,rating\nu,i,"a\nb",3\nu,i,,y\n', ["line 4", "'y'"]),
    "open quote in the header": (
        b'user,item,rating,"x\na,b1,3,t\na,b2,3,t"\n',
        ["line 1", "quote"],
    ),
    "open quote in the first row": (b'"a,b0,3\na,b1,3\n', ["line 1", "quote"]),
    "open quote of a long file": (
        b'user,item,rating\na,"b,3\n' + b"a,b,3\n" * 40_000,
        ["line 2", "quote"],
    ),
    "times third": (b"a,b,1400000000,5\n", ["line 1", "third column", "rating=4"]),
    "blank before a quote": (b'user, item, rating\n"a", "b", 4\n', ["line 2, field item", "blank"]),
    "NUL in an id": (GOOD.encode() * 300 + b"u\0,i,3,1\n", ["line 301", "NUL"]),
    "more than five": (b"user,item,rating\nu,i,10 out of 5 stars\n", ["line 2", "10 out of 5"]),
    "JSON empty id": (b'{"user":"","item":"i","rating":3}\n', ["line 1, field user", "empty"]),
    "JSON byte": (
        b'{"user":"u","item":"i","rating":3}\n' * 300 + b'{"user":"\xe9","item":"i","rating":3}\n',
        ["line 301", "0xe9"],
    ),
    "JSON surrogate": (
        b'{"user":"\\ud800","item":"i","rating":3}\n',
        ["line 1, field user", "text"],
    ),
    "JSON nested": (b'{"user":' + b"[" * 100_000 + b"\n", ["line 1", "JSON"]),
    "cut UTF-16": ("user,item,rating\nu,i,3\n".encode("utf-16")[:-1], ["truncated"]),
    "CR alone": (b"user,item,rating\ru,i,3\r", ["line 1", "LF", "CR alone"]),
    "JSON over lines": (b'{\n"user": "u"}\n', ["line 1", "several lines", "jq"]),
    "no JSON": (b'{"user": "u", "item": "i", "rating": 3}\n{"user"\n', ["line 2", "JSON"]),
    "JSON list": (b'[{"user": "u", "item": "i", "rating": 3}]\n', ["JSON list", "jq"]),
    "JSON without item": (
        b'{"user": "u", "rating": 3}\n',
        ["line 1", "for the item", "--columns"],
    ),
    "JSON rating": (b'{"user":"u","item":"i","rating":"x"}\n', ["line 1, field rating", "'x'"]),
    "late JSON": (b'{"user":"u","item":"i","rating":3}\n' * 300 + b"[]", ["line 301", "list"]),
    "JSON null": (b'\n{"user":null,"item":"i","rating":3}\n', ["line 2, field user", "empty"]),
    "Excel": (pack_zip(b"").replace(b"folder/", b"xl/work"), ["Excel", "CSV"]),
    "HTML": (b"<!DOCTYPE html><html></html>", ["web page"]),
    "SQLite": (b"SQLite format 3\0" + bytes(100), ["SQLite"]),
    "UTF-16 without a mark": ("user,item,rating\n".encode("utf-16-le"), ["utf-16-le"]),
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
    assert len(message) <= len(str(path)) + 220
    for word in words:
        assert word in message


def test_bad_options_are_one_line(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"\xef\xbb\xbfuser,item,rating\nu,i,3\n")
    for options, words in (
        ({"encoding": "latin-1"}, "begins with the mark of UTF-8, so it is not latin-1"),
        ({"encoding": "klingon"}, "--encoding must be a text encoding"),
        ({"encoding": "idna"}, "--encoding must be a text encoding|UTF-8, so it is not"),
        ({"columns": {"user": "user", "item": "1"}}, "--columns must name a column once"),
        ({"delimiter": ""}, "--delimiter must be one or more characters"),
        ({"delimiter": '"'}, "--delimiter must be one or more characters"),
    ):
        with pytest.raises(UserError, match=words):
            read_ratings(path, ReadOptions(**options).of("source"))


@pytest.mark.parametrize(
    ("word", "delimiter"), [("tab", "\t"), ("\\t", "\t"), ("space", " "), ("¦", "¦")]
)
def test_delimiters_may_be_words_or_any_characters(tmp_path, word, delimiter):
    path = tmp_path / "ratings.csv"
    path.write_text(delimiter.join("uib") + "\n" + delimiter.join(("a", "b", "3")) + "\n")
    columns = {"user": "u", "item": "i", "rating": "b"}
    raw = read_ratings(path, ReadOptions(delimiter=word, columns=columns).of("source"))
    assert rows_of(raw) == [("a", "b", 3.0)]


def test_other_delimiters_may_be_part_of_an_id(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("a;x;y,b::1;y,4\nc;x;y,d::2;y,5\n")
    assert rows_of(read_ratings(path)) == [("a;x;y", "b::1;y", 4.0), ("c;x;y", "d::2;y", 5.0)]


def test_columns_by_position_of_a_file_without_a_header(tmp_path):
    path = tmp_path / "ciao.csv"
    path.write_text("1,1,5,1,4,2013-09-02\n2,1,5,3,5,2013-09-03\n")
    columns = {"user": "1", "item": "2", "rating": "5", "time": "6"}
    raw = read_ratings(path, ReadOptions(columns=columns))
    assert (
        rows_of(raw) == [("1", "1", 4.0), ("2", "1", 5.0)] and raw.times[1] - raw.times[0] == 86400
    )


def test_ids_of_json_keep_their_digits(tmp_path):
    path = tmp_path / "ratings.jsonl"
    ids = ["1.5", "100000000000000000", "100000000000000001"]
    path.write_text("".join(f'{{"user": {each}, "item": 0, "rating": 3}}\n' for each in ids))
    assert [user for user, *_ in rows_of(read_ratings(path))] == ids


def test_archives_of_several_files_are_named_for_what_they_are(tmp_path):
    path = tmp_path / "ratings.zip"
    with ZipFile(path, "w") as archive:
        for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
            archive.writestr(name, "x")
    with pytest.raises(UserError, match=r"a zip file with 4 members \(a.csv, b.csv, c.csv, ...\)"):
        read_ratings(path)
    path = tmp_path / "ratings.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "a.csv")
    with pytest.raises(UserError, match="this is a tar archive; unpack it"):
        read_ratings(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_ratings(tmp_path / "nowhere.csv")


def test_quotes_of_tab_separated_files_may_be_part_of_an_id(tmp_path):
    path = tmp_path / "ratings.tsv"
    path.write_text('user\titem\trating\n"a\tx\t1\nb\ty\t2\n"a\tz"\t3\n')
    raw = read_ratings(path)
    assert rows_of(raw) == [('"a', "x", 1.0), ("b", "y", 2.0), ('"a', 'z"', 3.0)]
    path.write_text(path.read_text() + "c\tw\tmany\n")
    with pytest.raises(UserError, match=r"line 5, field rating: must be a number, but got 'many'"):
        read_ratings(path)


@pytest.mark.parametrize("begin,end", [('"Best', 'wow"'), ('"', '"'), ('"T', 'T"')])
@pytest.mark.parametrize("delimiter", ["\t", "|", ",", ";"])
@pytest.mark.parametrize("distance", [1, 20])
def test_a_title_that_begins_and_a_later_one_that_ends_with_a_quote_swallow_no_rows(
    tmp_path, begin, end, delimiter, distance
):
    path = tmp_path / "ratings.tsv"
    titles = ["x"] * 40
    titles[10], titles[10 + distance] = begin, end
    rows = [delimiter.join((f"u{n}", f"i{n}", "3", title)) for n, title in enumerate(titles)]
    path.write_text("\n".join([delimiter.join(("user", "item", "rating", "title")), *rows]) + "\n")
    if delimiter in "\t|":
        assert len(read_ratings(path)) == 40
    else:
        with pytest.raises(UserError, match=r"line 12: a quote.*closed"):
            read_ratings(path)


@pytest.mark.parametrize("delimiter", ["\t", "|", ","])
def test_an_open_quote_puts_no_quotes_around_other_ids(tmp_path, delimiter):
    path = tmp_path / "ratings.tsv"
    rows = [delimiter.join((f'"u{n}"', f'"i{n}"', "3", '"T"')) for n in range(9)]
    rows[4] = rows[4][:-1]
    path.write_text("\n".join([delimiter.join(("user", "item", "rating", "title")), *rows]) + "\n")
    with pytest.raises(UserError, match=r"line 6: a quote that opens"):
        read_ratings(path)


def test_empty_files_of_a_folder_are_reported(tmp_path):
    (tmp_path / "a.csv").write_text("user,item,rating\nu,i,3\n")
    (tmp_path / "b.csv").write_text("user,item,rating\n")
    pd.DataFrame({"user": ["u"], "item": ["j"], "rating": [2.0]}).iloc[:0].to_parquet(
        tmp_path / "c.parquet"
    )
    raw = read_ratings(tmp_path)
    assert len(raw) == 1 and [line.endswith("no rows") for line in raw.notes] == [False, True, True]
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UserError, match="at least one rating, but it is empty"):
        read_ratings(tmp_path)


def test_long_files_with_quoted_lines_are_read_whole(tmp_path):
    path = tmp_path / "ratings.csv"
    text = '"a line\nand ""another"", and\n\none"'
    path.write_text(
        "user,item,rating,text\n" + "".join(f"u{n},i,3,{text}\n" for n in range(60_000))
    )
    assert path.stat().st_size > 2 * MIB
    raw = read_ratings(path)
    assert len(raw) == 60_000 and raw.user_ids[raw.users[-1]] == "u59999"


def test_empty_and_mixed_times_stop_no_file(tmp_path):
    path = tmp_path / "ratings.csv"
    for time in (
        "1970-01-01 00:00:10",
        "10",
        "Thu Jan 01 00:00:10 +0000 1970",
        "1970/01/01 00:00:10",
    ):
        path.write_text(f"user,item,rating,time\nu,i,3,{time}\nu,j,3,\n")
        times = read_ratings(path).times
        assert times[0] == 10 and np.isnan(times[1])


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.lists(st.tuples(CELLS, CELLS, st.integers(1, 5)), min_size=1, max_size=30),
    st.sampled_from([",", ";", "\t", "|"]),
    st.booleans(),
)
def test_every_row_is_read_with_its_ids_as_they_are(tmp_path, rows, delimiter, quoted):
    """Rows in are rows out, byte for byte, or the file is refused."""
    path = tmp_path / "any.csv"

    def cell(text):
        needs = quoted or any(each in text for each in '",;|\t') or text != text.strip()
        return '"' + text.replace('"', '""') + '"' if needs else text

    lines = [delimiter.join(("user", "item", "rating"))]
    lines += [delimiter.join((cell(u), cell(i), str(r))) for u, i, r in rows]
    path.write_bytes(("\n".join(lines) + "\n").encode())
    assert rows_of(read_ratings(path)) == [(u, i, float(r)) for u, i, r in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.lists(
        st.tuples(st.text('ab" ', min_size=1, max_size=4), st.text('xy"', min_size=1, max_size=3)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([",", "\t", "::"]),
)
def test_stray_quotes_lose_no_row(tmp_path, rows, delimiter):
    """A file of n lines has n ratings, or is refused."""
    path = tmp_path / "any.csv"
    lines = [f"{u}{delimiter}{i}{delimiter}3" for u, i in rows]
    path.write_text("\n".join([delimiter.join(("user", "item", "rating")), *lines]) + "\n")
    try:
        raw = read_ratings(path)
    except UserError as error:
        assert "\n" not in str(error) and "line" in str(error)
    else:
        assert len(raw) == len(lines)


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
        with pytest.raises(
            UserError, match=r"at most 1048576 characters|larger than|quote"
        ) as caught:
            read_ratings(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    assert f"{path}, line " in str(caught.value)


def test_a_message_repeats_only_the_beginning_of_a_long_row(tmp_path):
    path = tmp_path / "ratings.csv"
    for bad in (b"u,i," + b"x" * 50_000, b"u,i," + b"9" * 50_000, b"u,i,3" + b",x" * 50_000):
        path.write_bytes(HEAD + bad + b"\n")
        with pytest.raises(UserError, match=r"line 3.*\.\.\. \(\d+ characters\)$") as caught:
            read_ratings(path)
        assert len(str(caught.value)) < len(str(path)) + 200


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
    bad.write_text(GOOD + "u,i,many,1\n")
    job = Path(__file__).parents[2] / "jobs" / "prepare.py"
    files = ["--source", str(bad), "--target", str(bad), "--name", "own"]
    data = tmp_path / "data"
    ended = subprocess.run(
        [sys.executable, str(job), *files, "--data", str(data)], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1 and "line 2, field rating" in ended.stderr
    assert not data.exists()
