import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from darec.data.shuffled import SUFFIX
from darec.provenance import code_digest
from darec.report.matrix.cells import Budget, distinct, printed
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering.page import write_report
from tests.browser import browsed, titled
from tests.report.made import ORIGIN, scored

BUDGET = Budget(8, 2, 3, seeds=5)
VOID = {"meta", "link"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_pair):
    """A page of all sections, of a pair whose scores are made up, one of them missing."""
    out = tmp_path_factory.mktemp("out")
    request = Request("all", ("toys_auto",), (), (90,), True, BUDGET)
    for k, cell in enumerate(distinct(request.cells())):
        if cell.model != "conet":
            level = 1.0 + 0.003 * (k * 17 % 41) + 0.5 * (cell.model == "mean")
            scored(cell, out, [level + 0.02 * seed + 0.001 * (k * seed % 5) for seed in range(5)])
    pairs = {"toys_auto": tiny_pair}
    folder = out / "report"
    return write_report(request, Results(out, BUDGET, {}), pairs, folder, ["reproduce"], {}), (
        request,
        out,
        pairs,
    )


class Walk(HTMLParser):
    """Tags that are not closed, and what each section holds."""

    def __init__(self):
        super().__init__()
        self.open, self.sections, self.labels = [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "section":
            self.sections.append(given["id"])
        if given.get("role") == "img":
            self.labels.append(given["aria-label"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_all_sections_are_there_and_every_figure_has_words(made):
    walk, text = Walk(), made[0].read_text()
    walk.feed(text)
    wanted = "answer claims table2 fig3 fig2 winners cold-items cold-users parts ranges made"
    assert not walk.open and walk.sections == wanted.split()
    assert len(walk.labels) == text.count("<figure")
    assert all(re.search(r"\d\.\d\d", label) for label in walk.labels)
    (figure3,) = (label for label in walk.labels if label.startswith("Test RMSE on toys_auto"))
    assert "u_darec 1" in figure3 and "u_darec (ours) 1" in figure3
    (first,) = re.findall(r'<section id="answer">.*?<p>(.*?)</p>', text, re.DOTALL)
    assert re.fullmatch(
        r"toys_auto-synthetic, 90 % training: \S+ has the lowest test RMSE, 1\.\d{4} ± 0\.\d{4} "
        r"\(not surely the best\), 0\.\d{4} below bias, 0\.\d{4} below hierarchical_bias, "
        r"\d+ of \d+ models do not lose to bias or hierarchical_bias\.",
        first,
    ), first
    (searches,) = (label for label in walk.labels if label.startswith("Lowest validation RMSE"))
    assert "pmf 1.0000" in searches and "center=" in text
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert (
        "paper 2.0723" in text
        and "loses to bias and hierarchical_bias" in text
        and "no score" in text
        and "not run to the end" in text
    )
    assert "8 trials of at most 3 epochs" in text and "toys_auto-synthetic-90-conet" in text


def test_the_page_asks_for_nothing_from_outside(made):
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", made[0].read_text())
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:,)[^"']*""", text)
    assert "http" not in text and "@import" not in text and "url(#" in text


def test_the_same_scores_give_the_same_bytes(made):
    page, (request, out, pairs) = made

    def written():
        return {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}

    before = written()
    write_report(request, Results(out, BUDGET, {}), pairs, page.parent, ["reproduce"], {})
    assert written() == before and len(before) > 10


def test_the_tables_for_papers_and_programs_say_the_same(made):
    folder, (request, _, _) = made[0].parent, made[1]
    rows = list(csv.DictReader((folder / "table2.csv").open()))
    models = {cell.row for cell in request.table2("toys_auto", 90)} - {"conet"}
    two_staged = {"u_darec", "i_darec", "u_darec (ours)", "i_darec (ours)"}
    stages = {f"{model}: its stage 1" for model in two_staged}
    assert {row["model"] for row in rows} == models | stages and models > two_staged
    assert {row["cold_share"] for row in rows if row["model"] == "cmf"} == {"0.2"}
    assert {row["view"] for row in rows} == {"hierarchical", "fallback", "floor", "warm"}
    markdown, latex = ((folder / f"table2.{suffix}").read_text() for suffix in ("md", "tex"))
    for row in rows:
        assert f"{float(row['mean']):.4f} ± " in markdown
        assert f"{float(row['mean']):.4f} $\\pm$" in latex
    as_printed, ours = (
        next(row for row in rows if row["model"] == model and row["view"] == "floor")
        for model in ("i_darec", "i_darec (ours)")
    )
    assert as_printed["paper"] == "2.0723" and ours["paper"] == ""
    assert as_printed["mean"] != ours["mean"] and r"90 \%" in latex
    assert r"i\_darec (ours) &" in latex and "| i_darec (ours) | " in markdown


def test_the_table_of_cold_users_has_their_errors_and_the_control(made):
    text = (made[0].parent / "cold_users.md").read_text()
    assert text.startswith("**target ratings of users with source ratings only, 20 % of the users")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (row,) = (row for row in rows if row[:2] == ["toys_auto-synthetic", "cmf"])
    rmse, mae, shuffled = (float(cell.split(" ")[0]) for cell in row[2:5])
    assert rmse == mae and shuffled == pytest.approx(rmse + 0.1)
    models = [row[1] for row in rows if row[:1] == ["toys_auto-synthetic"]]
    assert "u_darec (ours)" in models and "u_darec" not in models


def test_provenance_names_code_data_machine_and_seeds(made, tiny_pair):
    said = json.loads((made[0].parent / "provenance.json").read_text())
    assert said["data_sha256"] == {"toys_auto-synthetic": tiny_pair.digest}
    assert said["seeds"]["toys_auto-synthetic-90-cmf"] == [0, 1, 2, 3, 4]
    (scores,) = said["scores"]
    assert scores["revisions"] == ["abc1234"] and said["argv"] == ["reproduce"]
    assert scores["origin"]["code_digest"] == said["code_digest"] == code_digest()
    assert scores["number"]["toys_auto-synthetic-90-cmf"] == 15  # three policies
    assert {"torch", "ray", "optuna", "python"} <= set(said["versions"]) and said["machine"]["cpus"]
    assert f"toys_auto-synthetic{SUFFIX}-90-u_darec-paper" in said["seeds"]
    assert {f"toys_auto-synthetic-90-u_darec{end}" for end in ("", "-paper")} <= set(said["seeds"])


def test_a_page_of_scores_of_different_code_says_so(tmp_path, tiny_pair):
    request = Request("table2", ("toys_auto",), ("cmf",), (90,), True, BUDGET)
    other = replace(ORIGIN, revision="old0000", code_digest="0" * 64)
    for cell in request.cells():
        scored(cell, tmp_path, [1.0] * 5, origin=other if cell.model == "cmf" else ORIGIN)
    results, pairs = Results(tmp_path, BUDGET, {}), {"toys_auto": tiny_pair}
    page = write_report(request, results, pairs, tmp_path / "report", [], {})
    text, words = page.read_text(), "come from 2 combinations of code, libraries and device"
    assert words in text and "scores were made at abc1234, old0000" in text
    assert "what computed the scores" in text and "000000000000" in text
    assert all(words in (page.parent / f"table2.{each}").read_text() for each in ("md", "tex"))
    said = json.loads((page.parent / "provenance.json").read_text())["scores"]
    assert [each["revisions"] for each in said] == [["abc1234"], ["old0000"]]
    assert said[1]["number"] == {"toys_auto-synthetic-90-cmf": 15}


def test_a_page_names_the_trials_that_cannot_be_read(tmp_path, tiny_pair, caplog):
    request = Request("all", ("toys_auto",), ("u_darec",), (90,), True, BUDGET)
    cell = printed("toys_auto", 90, "u_darec", True)
    scored(cell, tmp_path, [1.0] * 5)
    (cell.folder(tmp_path) / "trials.csv").write_text("")
    pairs = {"toys_auto": tiny_pair}
    page = write_report(request, Results(tmp_path, BUDGET, {}), pairs, tmp_path / "report", [], {})
    told = "u_darec/trials.csv: must have a column &#39;best_epoch&#39;, but has none"
    assert told in page.read_text()
    assert "the page leaves its hyper-parameters out" in caplog.text


@pytest.mark.browser
def test_a_browser_finds_no_error_and_the_page_asks_for_nothing(made):
    said = browsed(made[0], 1280, "--enable-logging=stderr", "--dump-dom")
    assert "CONSOLE" not in said.stderr and "</html>" in said.stdout
    resources = """addEventListener("load", () => {
        const asked = performance.getEntriesByType("resource").map(entry => entry.name);
        document.title = JSON.stringify(asked);
    });"""
    text, image = made[0].read_text(), "http://127.0.0.1:9/seen.png"
    assert titled(made[0], text, 1280, resources) == []
    with_image = text.replace("</body>", f'<img src="{image}"></body>')
    assert titled(made[0], with_image, 1280, resources) == [image]  # it would be seen


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_tables_sort_and_nothing_is_wider_than_the_page(made, width):
    script = """
const head = document.querySelector("#table2 table th:nth-child(2) button");
const body = document.querySelector("#table2 tbody");
const column = k => [...body.rows].map(row => row.cells[k].textContent.trim().split(" ± ")[0]);
const told = {before: column(0)};
head.click(); told.up = column(0); told.rising = column(1);
head.click(); told.down = column(0); told.falling = column(1);
const claim = document.querySelector("#claims tbody tr");
told.stacked = claim.cells[0].offsetTop < claim.cells[1].offsetTop;
told.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.title = JSON.stringify(told);
"""
    told = titled(made[0], made[0].read_text(), width, script)
    # rows of equal errors keep their order
    assert told["rising"] == told["falling"][::-1] and told["up"] not in (
        told["before"],
        told["down"],
    )
    assert set(told["up"]) == set(told["before"]) and told["wide"] <= 0
    assert told["stacked"] == (width == 390)
