"""A browser without a window, which opens pages that darec writes."""

import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def browsed(page, width, *options):
    """Open a page in a browser without a window and return what it says."""
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    alone = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},2000"]
    profile = f"--user-data-dir={page.parent.parent}/profile"
    command = [CHROMIUM, *alone, profile, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def titled(page, text, width, script):
    """Return what a script leaves in the title of a page of this text."""
    copy = page.with_name(f"scripted-{width}.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    said = browsed(copy, width, "--dump-dom")
    copy.unlink()
    return json.loads(re.search(r"<title>(.*?)</title>", said.stdout).group(1))
