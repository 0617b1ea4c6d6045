"""Runs ``darec compare`` from this checkout, whatever the current directory is."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from darec.cli.main import run_command

    run_command("compare")
