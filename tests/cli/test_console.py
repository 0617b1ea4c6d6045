"""Text in square brackets is shown as it is."""

import re

import pandas as pd
import pytest

from darec.cli.console import ConsoleReporter

TEXT = 'pip install -e ".[baselines]"  [/x] [bold]b[/bold] :smile: 1'


@pytest.fixture
def reporter(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    return ConsoleReporter()


def test_lines_and_tables_lose_no_text(reporter, capsys):
    reporter.line(TEXT)
    assert capsys.readouterr().out == f"{TEXT}\n"
    reporter.table(TEXT, pd.DataFrame({TEXT: [TEXT]}, index=[TEXT]))
    assert capsys.readouterr().out.count(TEXT) == 4


def test_a_progress_bar_shows_its_label(reporter, capsys):
    with reporter.progress(TEXT, 2) as advance:
        advance()
    assert TEXT in "".join(capsys.readouterr())


def test_a_table_that_is_too_wide_for_a_terminal_goes_on_below(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    wide = pd.DataFrame({f"column {k}": [f"{k}" * 12] for k in range(5)}, index=["row"])
    ConsoleReporter().table("title", wide)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, text.splitlines())) <= 40
    assert re.findall(r"\d{12}", text) == [f"{k}" * 12 for k in range(5)]
    assert text.count("row") == 3 and text.count("title, continued") == 2
