"""The small search of `cycles`, to be struck once it trains and to come to its end after that."""

import csv
import time

from tests.tuning.durability import cycles

TRIALS = 4
SLOW = ("--fix", "batch_size=16", "--trials", str(TRIALS))
"""Few trials, each of which lasts for some seconds."""


def training(out, log, *options):
    """Begin the search or go on with it; return its driver once a trial has reported."""
    begin, deadline = time.time(), time.monotonic() + 180
    driver = cycles.start(out, *options, log=log)
    while not any(
        path.stat().st_mtime > begin for path in (out / cycles.STUDY).glob("tune/*/result.json")
    ):
        assert driver.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return driver


def completed(out, log, *options):
    """Go on with the search to its end; return how many trials its table has."""
    assert cycles.start(out, *options, log=log).wait() == 0, log.read_text()[-3000:]
    assert (out / cycles.STUDY / "best.json").is_file()
    with (out / cycles.STUDY / "trials.csv").open() as file:
        return len(list(csv.DictReader(file)))
