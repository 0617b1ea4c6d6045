"""Ratings from the text of a rating file.

Shapes: N ratings (rows of the file), D distinct texts.
"""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from darec.data.columns import shown

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")
IN_WORDS = re.compile(r"(\d+(?:\.\d+)?) out of (\d+)(?: stars)?")
"""Amazon's own pages write ratings so."""
LIKES = {"true": 1.0, "false": 0.0}
LARGEST = 1e38
"""No rating may lie further from 0: ratings have 32 bits."""


class BadCell(ValueError):
    """A cell that breaks a rule: ``row`` from 0, the column's role, and the rule and the value."""

    def __init__(self, row: int, role: str, problem: str) -> None:
        super().__init__(f"field {role}: {problem}")
        self.row = row


def rating_of(text: str) -> float | None:
    """Return the number that a text stands for, or None: ``4``, ``4,5``, ``4.0 out of 5 stars``."""
    text = text.strip()
    try:
        value = float(text)
    except ValueError:
        if DECIMAL_COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        in_words = IN_WORDS.fullmatch(text.lower())
        if in_words and float(in_words[1]) <= float(in_words[2]):
            return float(in_words[1])
        return LIKES.get(text.lower())
    return value if abs(value) <= LARGEST and "_" not in text else None


def ratings(text_N: pa.DictionaryArray) -> npt.NDArray[np.float32]:
    """Return ratings f32[N]; raises `BadCell` for the first that is missing or no finite number."""
    text_D = text_N.dictionary.to_pylist()
    value_D = np.array([rating_of(text) if text is not None else None for text in text_D], float)
    code_N = text_N.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    value_N = np.append(value_D, np.nan)[code_N]
    bad = np.flatnonzero(np.isnan(value_N))
    if len(bad):
        row = int(bad[0])
        raise BadCell(
            row, "rating", f"must be a number, but got {shown(text_N[row].as_py() or '')}"
        )
    rating_N: npt.NDArray[np.float32] = value_N.astype(np.float32)
    return rating_N
