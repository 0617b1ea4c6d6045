"""Seconds and peak memory of reading one rating file in each form, each in its own process.

``python -m darec.benchmark.readers darec|pandas FILE`` reads a file, and prints the seconds and the
bytes by which that raises the peak memory.
"""

import bz2
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from darec.benchmark.core import Figure
from darec.benchmark.data import write_ratings
from darec.benchmark.memory import forget_peak, peak
from darec.data.readers import read_ratings

MIB = 2**20
NAMES = ["user", "item", "rating", "time"]
JSON = '{{"reviewerID": "{}", "asin": "{}", "overall": {}, "unixReviewTime": {}}}\n'


def reading(lines: int) -> Iterator[Figure]:
    """Yield the time and memory of each form of a file; the reference is pandas on the CSV file."""
    with tempfile.TemporaryDirectory() as name:
        csv = Path(name) / "ratings.csv"
        write_ratings(csv, lines, "B", n_items=lines // 40)
        reference, reference_memory = _run("pandas", csv)
        for form, write in FORMS.items():
            path = csv
            if write is not None:
                path = Path(name) / f"ratings {form}"
                write(csv, path)
            seconds, memory = _run("darec", path)
            yield Figure(f"read_{form}", seconds, "s", reference, reference / seconds)
            ratio = reference_memory / memory
            yield Figure(f"read_{form}_memory", memory / MIB, "MiB", reference_memory / MIB, ratio)


def _lines(source: Path, target: Path, change: Callable[[str], str]) -> None:
    with source.open() as lines, target.open("w") as file:
        file.writelines(change(line) for line in lines)


def _quoted(line: str) -> str:
    return ",".join(f'"{cell}"' for cell in line[:-1].split(",")) + "\n"


def _parquet(source: Path, target: Path) -> None:
    pq.write_table(pacsv.read_csv(source, pacsv.ReadOptions(column_names=NAMES)), target)


FORMS: dict[str, Callable[[Path, Path], object] | None] = {
    "csv": None,
    "quoted_csv": lambda a, b: _lines(a, b, _quoted),
    "double_colons": lambda a, b: _lines(a, b, lambda line: line.replace(",", "::")),
    "blanks": lambda a, b: _lines(a, b, lambda line: line.replace(",", " ")),
    "csv_gz": lambda a, b: b.write_bytes(gzip.compress(a.read_bytes(), 1)),
    "csv_bz2": lambda a, b: b.write_bytes(bz2.compress(a.read_bytes(), 1)),
    "json_lines": lambda a, b: _lines(a, b, lambda line: JSON.format(*line[:-1].split(","))),
    "parquet": _parquet,
}


def _run(which: str, path: Path) -> tuple[float, int]:
    command = [sys.executable, "-m", __name__, which, str(path)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = json.loads(ended.stdout)
    return seconds, memory


def _measure(which: str, path: Path) -> tuple[float, int]:
    forget_peak()
    before, begin = peak(), time.perf_counter()
    if which == "pandas":
        table = pd.read_csv(path, names=NAMES)
        table = table.astype({"user": "category", "item": "category"})
    else:
        read_ratings(path)
    return time.perf_counter() - begin, peak() - before


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]))))
