"""Wrote tests/serving/format1 with the first release: a model folder, and what its model predicts.

Run ``python -m tests.serving.write_format1`` only for a new format, and into a new folder: later
releases must read what earlier ones wrote.
"""

import shutil
import tempfile
from pathlib import Path

import pandas as pd

import darec
from darec.data.synthetic import planted_pair
from darec.paper import Counts
from tests.serving.conftest import searched

FOLDER = Path(__file__).parent / "format1"


def write_format1():
    pair = planted_pair("format1", Counts(20, 12, 10, 120, 90))
    with tempfile.TemporaryDirectory() as scratch:
        written = searched("i_darec", pair, Path(scratch)).fit(pair, refit="train")
        shutil.copytree(written, FOLDER / "model")
    table = pd.DataFrame({"user": pair.user_ids[:10], "item": pair.target_item_ids[:10]})
    darec.load(FOLDER / "model").predict(table).to_parquet(FOLDER / "predictions.parquet")


if __name__ == "__main__":
    write_format1()
