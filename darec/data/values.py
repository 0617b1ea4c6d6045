"""Ratings and times from the text of a rating file.

Shapes: N ratings (rows of the file), D distinct texts.
"""

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from darec.data.columns import shown

Times = npt.NDArray[np.float64]
"""f64[N]: seconds since 1970, or in the file's own unit; NaN where a rating has no time."""
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")
IN_WORDS = re.compile(r"([\d.]+) out of \d+( stars)?")
"""Amazon's own pages write ratings so."""
LIKES = {"true": 1.0, "false": 0.0}
LARGEST = 1e38
"""No rating may lie further from 0: ratings have 32 bits."""
SAMPLE = 1000
"""Times by which their format is told."""


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
        return rating_of(in_words[1]) if in_words else LIKES.get(text.lower())
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


def times(text_N: pa.Array) -> Times:
    """Return times f64[N]: numbers as they are, dates in seconds since 1970, NaN for none.

    ``text_N`` may also be numbers already.

    Raises `BadCell` for the first text that is neither.
    """
    try:
        numbers = pc.cast(text_N, pa.float64())
    except pa.ArrowInvalid:
        return _dates(text_N)
    time_N: Times = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    endless = np.flatnonzero(np.isinf(time_N))
    if len(endless):
        raise _bad_time(int(endless[0]), text_N[int(endless[0])].as_py())
    return time_N


def _dates(text_N: pa.Array) -> Times:
    text = pd.Series(text_N.to_pandas()).astype("string").str.strip()
    given = text.notna() & (text != "")
    seconds_N = pd.to_numeric(text.where(given), errors="coerce").to_numpy(float, na_value=np.nan)
    as_dates = given.to_numpy(bool) & ~np.isfinite(seconds_N)
    text = text.where(text.str.contains(r"\d"), "")  # pandas knows today and now
    dates = pd.to_datetime(
        text[as_dates], format=_format(text[as_dates]), utc=True, errors="coerce"
    )
    missing = dates.isna().to_numpy()
    if missing.any():
        row = int(np.flatnonzero(as_dates)[missing][0])
        raise _bad_time(row, text_N[row].as_py())
    seconds_N[as_dates] = dates.astype("datetime64[us, UTC]").astype("int64").to_numpy() / 1e6
    return seconds_N


def _format(dates: "pd.Series[str]") -> str:
    """Return the format of dates: ISO 8601 if some of them are, else each by itself."""
    some = dates.iloc[:SAMPLE]
    is_iso = pd.to_datetime(some, format="ISO8601", utc=True, errors="coerce").notna()
    return "ISO8601" if is_iso.any() else "mixed"


def _bad_time(row: int, value: object) -> BadCell:
    rule = "must be a number or a date (--columns time=none reads no times)"
    return BadCell(row, "time", f"{rule}, but got {shown(value)}")
