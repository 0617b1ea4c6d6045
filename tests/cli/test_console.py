"""Text in square brackets is shown as it is."""

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
