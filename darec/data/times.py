"""Times from the text of a rating file.

Shapes: N ratings (rows of the file), D distinct texts.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from darec.data.columns import shown
from darec.data.values import BadCell

Times = npt.NDArray[np.float64]
"""f64[N]: seconds since 1970, or small numbers as they are; NaN where a rating has no time."""
NO_TIME = (
    *("", r"\N", "NA", "N/A", "null", "NULL", "None", "nan", "NaN", "NaT"),
    *("0000-00-00", "0000-00-00 00:00:00"),
)
"""What databases and programs write where a time is missing."""
UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Pairs (least, per_second). If the median time is above ``least``, ``per_second`` units of the
times are one second."""
FIRST_DAY, LAST_DAY = 19_000_101, 21_001_231
"""Whole numbers between these may be days as ``20140102``."""
DATES = [
    f"{date}{clock}"
    for date in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d")
    for clock in ("", " %H:%M", " %H:%M:%S")
]
IN_WORDS = [
    *("%m %d, %Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
    *("%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z"),
]
FORMATS = ("ISO8601", *DATES, *IN_WORDS)
"""The forms of dates that are known. All dates of a file have one form."""


def times(text_N: pa.Array) -> Times:
    """Return the times of a file, f64[N]; the text may also be numbers already.

    Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, which their size
    tells, or days as ``20140102``. Smaller numbers stay as they are: they only have an order.
    Raises `BadCell` for a text that is neither a number nor a date, and for dates of which nothing
    tells whether day or month comes first.
    """
    if pa.types.is_string(text_N.type):
        is_missing = pc.is_in(pc.utf8_trim_whitespace(text_N), pa.array(NO_TIME))
        text_N = pc.if_else(is_missing, pa.scalar(None, pa.string()), text_N)
    try:
        numbers = pc.cast(text_N, pa.float64())
    except pa.ArrowInvalid:
        return _dates(text_N)
    time_N: Times = numbers.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    endless = np.flatnonzero(np.isinf(time_N))
    if len(endless):
        raise _bad(int(endless[0]), text_N)
    return _in_seconds(time_N)


def _in_seconds(time_N: Times) -> Times:
    size_N = time_N[~np.isnan(time_N)]
    if not len(size_N):
        return time_N
    np.abs(size_N, out=size_N)
    size_N.partition(len(size_N) // 2)  # in place, as there may be very many
    size = float(size_N[len(size_N) // 2])
    for least, per_second in UNITS:
        if size > least:
            return time_N / per_second
    if FIRST_DAY <= size_N.min() and size_N.max() <= LAST_DAY and not (size_N % 1).any():
        known_N = time_N[~np.isnan(time_N)]
        text = pd.Series(known_N).astype("int64").astype("string")
        days = pd.to_datetime(text, format="%Y%m%d", utc=True, errors="coerce")
        if days.notna().all():
            time_N = time_N.copy()
            time_N[~np.isnan(time_N)] = _seconds(days)
    return time_N


def _dates(text_N: pa.Array) -> Times:
    """Return the times of a column in which not all are numbers."""
    text = pd.Series(text_N.to_pandas()).astype("string").str.strip()
    code_N, text_D = pd.factorize(text)
    dates_D = pd.Series(text_D, dtype="string")
    fitting: list[Times] = []
    closest = (
        pd.to_numeric(dates_D, errors="coerce").notna().to_numpy()
    )  # where others are at fault
    for form in FORMATS:
        parsed = pd.to_datetime(dates_D, format=form, utc=True, errors="coerce")
        fits_D = parsed.notna().to_numpy()
        if fits_D.all():
            fitting.append(_seconds(parsed))
        if fits_D.sum() > closest.sum():
            closest = fits_D
    if not fitting:
        raise _bad(int(np.flatnonzero(~np.append(closest, True)[code_N])[0]), text_N)
    differs_D = (np.stack(fitting) != fitting[0]).any(0)
    if differs_D.any():
        row = int(np.flatnonzero(np.append(differs_D, False)[code_N])[0])
        raise _bad(row, text_N, "may begin with its day or its month: write it as 2014-01-31")
    return np.append(fitting[0], np.nan)[code_N]


def _seconds(dates: "pd.Series[pd.Timestamp]") -> Times:
    return dates.astype("datetime64[us, UTC]").astype("int64").to_numpy() / 1e6


def _bad(row: int, text_N: pa.Array, rule: str = "must be a number or a date") -> BadCell:
    got = shown(text_N[row].as_py() or "")
    return BadCell(row, "time", f"{rule} (or --columns time=none), but got {got}")
