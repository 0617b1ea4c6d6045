"""A user without a home folder."""

import os
from pathlib import Path

from darec.cli import home
from darec.cli.home import give_home


def test_a_user_without_a_home_gets_one_until_the_process_ends(monkeypatch):
    at_end = []
    monkeypatch.setattr(home.atexit, "register", lambda *call, **options: at_end.append(call))
    monkeypatch.setenv("HOME", "/home/ada")
    give_home()
    assert os.environ["HOME"] == "/home/ada" and not at_end
    monkeypatch.setattr(home.os.path, "expanduser", lambda path: path)  # as without an account
    give_home()
    folder = Path(os.environ["HOME"])
    assert folder.is_dir() and folder.name.startswith("darec-home-")
    ((delete, *arguments),) = at_end
    delete(*arguments)
    assert not folder.exists()
