import numpy as np
import pyarrow as pa
import pytest

from darec.data.times import times
from darec.data.values import BadCell

SECOND = 1_400_000_000  # 2014-05-13 16:53:20 UTC


@pytest.mark.parametrize(
    "cells",
    [
        [str(SECOND), str(SECOND + 60)],
        [f"{SECOND}.0", f"{SECOND + 60}.0"],
        [str(SECOND * 10**3), str((SECOND + 60) * 10**3)],
        [str(SECOND * 10**6), str((SECOND + 60) * 10**6)],
        [str(SECOND * 10**9), str((SECOND + 60) * 10**9)],
        ["2014-05-13 16:53:20", "2014-05-13 16:54:20"],
        ["2014-05-13T16:53:20Z", "2014-05-13T18:54:20+02:00"],
        ["13/05/2014 16:53:20", "13/05/2014 16:54:20"],
        ["05/13/2014 16:53:20", "05/13/2014 16:54:20"],
        ["13.05.2014 16:53:20", "13.05.2014 16:54:20"],
        ["Tue May 13 16:53:20 +0000 2014", "Tue May 13 09:54:20 -0700 2014"],
    ],
)
def test_numbers_and_dates_become_seconds(cells):
    found = times(pa.array([*cells, "", None, "\\N", "NA"]))
    assert found[:2].tolist() == [SECOND, SECOND + 60] and np.isnan(found[2:]).all()


@pytest.mark.parametrize("cells", [["20140513"], ["2014-05-13"], ["05 13, 2014"], ["May 13, 2014"]])
def test_days_are_reported_from_seconds(cells):
    assert times(pa.array(cells)).tolist() == [SECOND - 60_800]


def test_small_numbers_only_have_an_order():
    assert times(pa.array(["1", "11", ""]))[:2].tolist() == [1, 11]
    assert times(pa.array([3.0, None]))[:1].tolist() == [3]


@pytest.mark.parametrize(
    ("cells", "row", "words"),
    [
        (["01/02/2014", "", "03/04/2014"], 0, "may begin with its day or its month"),
        (["25/02/2014", "02/25/2014"], 1, "must be a number or a date"),
        (["2014-01-02", "tomorrow"], 1, "but got 'tomorrow'"),
        (["2014-01-02", "2014-01-03", "1400000000"], 2, "but got '1400000000'"),
        (["10", "inf"], 1, "but got 'inf'"),
        (["10", "now"], 1, "but got 'now'"),
        (["now"], 0, "but got 'now'"),
    ],
)
def test_one_form_for_all_or_one_line(cells, row, words):
    with pytest.raises(BadCell, match=words) as raised:
        times(pa.array(cells))
    assert raised.value.row == row and "--columns time=none" in str(raised.value)


def test_a_day_above_twelve_tells_that_days_come_first():
    found = times(pa.array(["03/04/2014", "25/02/2014"]))
    assert found[0] - found[1] == 37 * 86_400
