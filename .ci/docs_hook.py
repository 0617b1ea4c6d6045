"""What MkDocs needs beside its own: the help of every command, and names of files."""

import re
from typing import Any

from typer.testing import CliRunner

from darec.cli.main import COMMANDS, app_of

HELP = "<!-- help of every command -->"
OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)")
"""A link to a file of the repository outside docs/, which the site does not have."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with the help of all commands, and files outside docs/ as names."""
    if HELP in markdown:
        markdown = markdown.replace(HELP, "\n\n".join(map(_help, COMMANDS)))
    return OUTSIDE.sub(r"\1 (`\2`)", markdown)


def _help(name: str) -> str:
    shown = CliRunner().invoke(
        app_of(name), ["--help"], prog_name=f"darec {name}", terminal_width=80
    )
    return f"## {name}\n\n```text\n{shown.stdout.strip()}\n```"
