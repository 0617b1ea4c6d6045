"""The data card that ``prepare`` leaves beside a pair."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import darec
from darec.api.data_card import _date
from tests.report.test_page import Walk
from tests.reporting import Recorder

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def rating_files(folder, n_users=40, n_items=20, seed=0):
    """Two rating files with timestamps; an id needs escaping in HTML."""
    random, paths = np.random.default_rng(seed), []
    for name in ("books", "music"):
        rows = [
            f"user{u},<{name[0]}{i}>,{random.integers(1, 6)},{10**9 + random.integers(10**8)}\n"
            for u in range(n_users)
            for i in random.permutation(n_items)[:8]
        ]
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text("user,item,rating,timestamp\n" + "".join(rows))
    return paths


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data card, and what prepare said."""
    folder, said = tmp_path_factory.mktemp("data"), Recorder()
    source, target = rating_files(folder)
    darec.prepare(source, target, name="own.pair", data=folder, reporter=said)
    return folder / "pairs" / "own.pair.html", said


def test_the_card_has_its_sections_and_every_figure_has_words(made):
    walk, text = Walk(), made[0].read_text()
    walk.feed(text)
    assert not walk.open
    assert walk.sections == ["size", "ratings", "activity", "cold", "dates", "copies", "made"]
    assert len(walk.labels) == text.count("<figure") == 3
    assert "Data card: own.pair" in text and "320 source and 320 target ratings" in text
    assert "tested on each user&#39;s last ratings" in text
    assert "2001-09" in text and "books.csv" in text and "rows that repeat a (user, item)" in text


def test_the_card_asks_for_nothing_from_outside(made):
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", made[0].read_text())
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:,)[^"']*""", text)
    assert "http" not in text and "@import" not in text


def test_prepare_says_where_the_card_is_and_the_facts_in_short(made):
    page, said = made
    lines = said.lines
    assert f"card:  {page}" in lines
    (cold,) = (line for line in lines if line.startswith("Test ratings of cold items: "))
    assert "(90 % training)" in cold and "(90 % training, tested on the last ratings)" in cold
    tables = dict(said.tables)
    assert tables["Domains"].loc["ratings per user", "target"] == "8 to 8, median 8"
    assert re.fullmatch(
        r"2001-\d\d-\d\d to 2004-\d\d-\d\d", tables["Domains"].loc["dates", "source"]
    )


def test_a_pair_without_timestamps_has_a_card_without_dates(tmp_path):
    for path in rating_files(tmp_path):
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{line.rsplit(',', 1)[0]}\n" for line in lines))
    files = tmp_path / "books.csv", tmp_path / "music.csv"
    darec.prepare(*files, name="own", data=tmp_path)
    text = (tmp_path / "pairs" / "own.html").read_text()
    assert 'id="dates"' not in text and 'id="copies"' in text and "last ratings" not in text


@pytest.mark.parametrize(
    ("time", "date"),
    [(1_000_000_000, "2001-09-09"), (1_700_000_000_000, "2023-11-14"), (3, "3"),
     (-5, "-5"), (5e15, "5e+15")],
)  # fmt: skip
def test_times_are_shown_as_dates_where_they_can_be(time, date):
    assert _date(time) == date


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_on_the_card_is_wider_than_the_page(made, width, tmp_path):
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    script = """document.title = document.documentElement.scrollWidth
        - document.documentElement.clientWidth;"""
    copy = tmp_path / "card.html"
    copy.write_text(made[0].read_text().replace("</body>", f"<script>{script}</script></body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--window-size={width},2000", f"--user-data-dir={tmp_path}/profile", copy.as_uri()]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(re.search(r"<title>(.*?)</title>", said.stdout).group(1)) <= 0
