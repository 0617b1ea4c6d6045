"""Seconds and peak memory of preparing a large rating file, in its own process.

``python -m darec.benchmark.data SOURCE TARGET FOLDER`` prepares two files, and prints the seconds
and the peak memory in bytes.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from darec.benchmark.core import Figure
from darec.benchmark.memory import peak
from darec.data.store import prepare
from darec.seeds import generator

MIB = 2**20
CHUNK = 2_000_000
"""Lines that are generated at a time."""
TARGET_LINES = 100_000


def preparation(lines: int) -> list[Figure]:
    """Prepare a generated pair whose source file has this many lines, in Amazon's format of 2014.

    The reference of the seconds is reading the source file once, and of the memory 3 GiB.
    """
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source.csv", Path(name) / "target.csv"
        write_ratings(source, lines, "A", n_items=lines // 40)
        write_ratings(target, TARGET_LINES, "B", n_items=TARGET_LINES // 10)
        begin = time.perf_counter()
        with source.open("rb") as file:
            while file.read(64 * MIB):
                pass
        reading = time.perf_counter() - begin
        command = [sys.executable, "-m", __name__, str(source), str(target), name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, memory = json.loads(run.stdout)
    size, limit = f"{lines / 1e6:g}M_lines", 3 * 1024.0
    return [
        Figure(f"prepare_{size}", seconds, "s", reading, reading / seconds),
        Figure(f"prepare_{size}_memory", memory / MIB, "MiB", limit, limit * MIB / memory),
    ]


def write_ratings(path: Path, lines: int, prefix: str, n_items: int) -> None:
    """Write ratings of power-law users and items, without a header: user, item, rating, time."""
    rng = generator(0, "benchmark", prefix)
    n_users = max(1000, lines // 10)
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    schema = pa.schema(
        {"user": pa.string(), "item": pa.string(), "rating": pa.float64(), "time": pa.int64()}
    )
    users = np.array([f"A{k:013d}" for k in range(n_users)], dtype=object)
    items = np.array([f"{prefix}{k:09d}" for k in range(n_items)], dtype=object)
    with csv.CSVWriter(path, schema, write_options=options) as writer:
        for begin in range(0, lines, CHUNK):
            size = min(CHUNK, lines - begin)
            columns = [
                users[(n_users * rng.random(size) ** 2).astype(np.int64)],
                items[(n_items * rng.random(size) ** 2).astype(np.int64)],
                rng.integers(1, 6, size).astype(np.float64),
                rng.integers(10**9, 14 * 10**8, size),
            ]
            arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _measure(source: Path, target: Path, folder: Path) -> tuple[float, int]:
    begin = time.perf_counter()
    prepare("benchmark", folder, source, target)
    return time.perf_counter() - begin, peak()


if __name__ == "__main__":
    print(json.dumps(_measure(*map(Path, sys.argv[1:]))))
